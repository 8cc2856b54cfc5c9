/** What is wrong, as sentences; the first few are kept, all are counted. */
export class Verdict {
  readonly violations: string[] = [];
  count = 0;
  readonly #onFirst: (text: string) => void;

  constructor(onFirst: (text: string) => void = () => {}) {
    this.#onFirst = onFirst;
  }

  violation(text: string): void {
    if (this.count++ === 0) this.#onFirst(text);
    if (this.violations.length < 20) this.violations.push(text);
  }
}
