/** The driver process of the bench: carries out commands of its parent, one at a time, and answers each. */
import type { Answer, Command } from "./commands.ts";
import { Driver } from "./driver-commands.ts";

const driver = new Driver();
let before: Promise<unknown> = Promise.resolve();

process.on("message", (command: Command) => {
  before = before.then(() => answer(command));
});
// Without its parent it would go on for nobody.
process.on("disconnect", () => process.exit());

async function answer(command: Command): Promise<void> {
  let answer: Answer;
  try {
    answer = await driver.carryOut(command);
  } catch (error) {
    answer = { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(answer);
}
