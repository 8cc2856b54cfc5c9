/** Rules between the options of TLS. What stands in the files is looked at by whoever reads them. */
import type { Scalars } from "./options.ts";
import type { ProblemList } from "./problems.ts";

export function checkEncryption(
  { tlsCert, tlsKey, tlsClientCa, tlsMin, requireTls, trustedProxies }: Scalars,
  origins: ReadonlyMap<string, string>,
  problems: ProblemList,
): void {
  const tell = (key: string, message: string) => problems.add(key, origins.get(key) ?? "", message);
  if (tlsCert.length !== tlsKey.length) {
    const counts = `${tlsCert.length} in tls-cert, ${tlsKey.length} in tls-key`;
    tell(
      tlsCert.length > tlsKey.length ? "tls-cert" : "tls-key",
      `each certificate needs its key: there are ${counts}`,
    );
  }
  if (tlsCert.length > 0) return;
  const alone = "means nothing without tls-cert and tls-key";
  if (tlsClientCa !== null) tell("tls-client-ca", alone);
  if (tlsMin !== "1.2") tell("tls-min", alone);
  if (requireTls && trustedProxies.length === 0) {
    tell(
      "require-tls",
      "nobody could connect: give tls-cert and tls-key, or trusted-proxies where a proxy before this server speaks TLS",
    );
  }
}
