// Things that are asked for while earlier ones are on their way go together in the next request.

/** Collects items and sends them in groups; each item has its own answer. */
export class Group<I, O> {
  #waiting: { item: I; resolve: (answer: O | Promise<O>) => void; reject: (error: unknown) => void }[] = [];
  #onTheWay = 0;
  #scheduled = false;
  #idle: (() => void)[] = [];

  constructor(
    private readonly send: (items: I[]) => Promise<(O | Promise<O>)[]>,
    private readonly options: { most: number; onTheWayMost: number },
  ) {}

  push(item: I): Promise<O> {
    return new Promise<O>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#scheduled) {
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          this.#flush();
        });
      }
    });
  }

  /** Resolves once nothing is on its way. */
  settled(): Promise<void> {
    if (this.#onTheWay === 0 && this.#waiting.length === 0) {
      return Promise.resolve();
    }
    return new Promise(resolve => this.#idle.push(resolve));
  }

  #flush(): void {
    while (this.#waiting.length > 0 && this.#onTheWay < this.options.onTheWayMost) {
      const group = this.#waiting.splice(0, this.options.most);
      this.#onTheWay += 1;
      this.send(group.map(({ item }) => item))
        .then(
          answers => group.forEach(({ resolve }, at) => resolve(answers[at] as O | Promise<O>)),
          (error: unknown) => group.forEach(({ reject }) => reject(error)),
        )
        .finally(() => {
          this.#onTheWay -= 1;
          this.#flush();
          if (this.#onTheWay === 0 && this.#waiting.length === 0) {
            this.#idle.splice(0).forEach(resolve => resolve());
          }
        });
    }
  }
}
