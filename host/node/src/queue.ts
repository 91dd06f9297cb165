// Limits how many decisions run at once.

/** A semaphore whose waiters give up after a time. */
export class Permits {
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(
    count: number,
    private readonly timeoutMs: number,
  ) {
    this.#free = count;
  }

  /** Acquires a permit. Returns undefined if one is acquired at once, otherwise a promise of whether it was. */
  acquire(): Promise<boolean> | undefined {
    if (this.#free > 0) {
      this.#free -= 1;
      return undefined;
    }
    return new Promise((resolve) => {
      const granted = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== granted);
        resolve(false);
      }, this.timeoutMs);
      this.#waiting.push(granted);
    });
  }

  /** Passes a permit on to the first waiter. */
  release(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}
