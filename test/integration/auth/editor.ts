/** A process of its own that edits a token file: `editor.ts <path> create <name> <count>` or `editor.ts <path> revoke <id>`. */
import { openFileTokens } from "../../../src/auth/file-tokens.ts";
import { silentLogger } from "../../../src/core/logger.ts";
import { systemClock } from "../../../src/lib/clock.ts";

const [path = "", verb = "", subject = "", count = "1"] = process.argv.slice(2);
const store = await openFileTokens({ path, clock: systemClock, logger: silentLogger, follow: false });
if (verb === "revoke") await store.revoke(subject);
else for (let i = 0; i < Number(count); i++) await store.create({ name: `${subject}-${i}`, grants: { a: ["read"] } });
