/** The wire changes only together with its version: the vectors of a version are frozen here. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { wireVersion } from "../../../src/wire/messages.ts";

/**
 * SHA-256 of the vectors that both sides must agree on, by wire version. Where this test is red because vectors were
 * only added, put the new hash here; where one was changed or removed, clients in the field would break: raise
 * `wireVersion` and add a line.
 */
const frozen: Readonly<Record<number, string>> = {
  1: "b5bac6be1a1933b17150e4f9d206487df5aefe23d61060c9cd9a6e4864bc4ac6",
};

test("the vectors are those of this wire version", async () => {
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of ["client", "server", "codes", "payloads", "alternatives", "invalid"]) {
    hash.update(await Bun.file(join(import.meta.dir, `../../vectors/${name}.json`)).arrayBuffer());
  }
  expect(hash.digest("hex")).toBe(frozen[wireVersion] as string);
});
