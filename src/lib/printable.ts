/** Text from outside made safe to show on a terminal. */

// C0 and C1 controls, DEL, line and paragraph separators, and the marks that turn the direction of text.
// oxlint-disable-next-line no-control-regex
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The text with everything that could move the cursor, colour, break or reorder a line written as `\uXXXX`. */
export function printable(text: string): string {
  return text.replace(unsafe, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
