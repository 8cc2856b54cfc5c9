/** Requests that are done in the order in which they were made, also where some have to be made again. */

/** For how long a request is made again and again, milliseconds. */
const againMs = 3000;

interface Job {
  readonly send: () => Promise<unknown>;
  readonly untilMs: number;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (reason: unknown) => void;
  reason: unknown;
}

export class Lane {
  /** What helps against an error, so that the request may be made again; null: nothing does. */
  readonly #remedy: (reason: unknown) => (() => Promise<void>) | null;
  /** Jobs to be done again, and those that came since that is known: sent once nothing is under way. */
  #again: Job[] = [];
  #later: Job[] = [];
  #apply: (() => Promise<void>) | null = null;
  #underWay = 0;

  constructor(remedy: (reason: unknown) => (() => Promise<void>) | null) {
    this.#remedy = remedy;
  }

  /** `send` is called when it is its turn, and again where there was a remedy. */
  run(send: () => Promise<unknown>): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const job: Job = { send, untilMs: performance.now() + againMs, resolve, reject, reason: null };
    if (this.#apply !== null) this.#later.push(job);
    else this.#send(job);
    return promise;
  }

  #send(job: Job): void {
    this.#underWay++;
    job.send().then(
      (reply) => {
        job.resolve(reply);
        this.#settled();
      },
      (reason: unknown) => {
        const remedy = performance.now() < job.untilMs ? this.#remedy(reason) : null;
        if (remedy === null) job.reject(reason);
        else {
          this.#apply ??= remedy;
          job.reason = reason;
          this.#again.push(job);
        }
        this.#settled();
      },
    );
  }

  #settled(): void {
    this.#underWay--;
    if (this.#underWay > 0 || this.#apply === null) return;
    const resume = () => {
      const jobs = [...this.#again, ...this.#later];
      this.#again = [];
      this.#later = [];
      this.#apply = null;
      for (const job of jobs) {
        if (job.reason !== null && performance.now() > job.untilMs) job.reject(job.reason);
        else this.#send(job);
      }
    };
    this.#apply().then(resume, resume);
  }
}
