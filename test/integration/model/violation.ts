/** What the model finds wrong, and what it wants to know about while it looks. */

/** The server broke a promise. */
export class Violation extends Error {
  constructor(message: string) {
    super(message);
    this.name = "Violation";
  }
}

export function promise(kept: boolean, message: () => string): void {
  if (!kept) throw new Violation(message());
}
