/** The runner in Bun or Node: `<this file> <URL of the controller>`. */
import { serve } from "./runner.ts";

await serve(process.argv[2] ?? "");
process.exit(0);
