// What is known of each job: when it was worked on, and whether the server was told.

export class Ledger {
  #jobs = new Map();

  #of(id) {
    let job = this.#jobs.get(id);
    if (job === undefined) {
      job = { added: false, runs: [], completed: undefined };
      this.#jobs.set(id, job);
    }
    return job;
  }

  get size() {
    return this.#jobs.size;
  }

  get runs() {
    return [...this.#jobs.values()].reduce((sum, { runs }) => sum + runs.length, 0);
  }

  /** The server has answered that the job is there. */
  added(id) {
    this.#of(id).added = true;
  }

  /** A line that a worker wrote. */
  said(worker, what, id, at, stalls) {
    const job = this.#of(id);
    if (what === 'begin') {
      job.runs.push({ worker, began: at, ended: undefined, stalls });
    } else if (what === 'end') {
      job.runs.findLast(run => run.worker === worker && run.ended === undefined).ended = at;
    } else {
      job.completed = Math.min(job.completed ?? Infinity, at);
    }
  }

  /** What a worker had begun ended with it. */
  gone(worker, at) {
    for (const { runs } of this.#jobs.values()) {
      for (const run of runs) {
        if (run.worker === worker) {
          run.ended ??= at;
        }
      }
    }
  }

  /** Jobs that were added and of which no run is known. */
  lost() {
    return [...this.#jobs].filter(([, { added, runs }]) => added && runs.length === 0).map(([id]) => id);
  }

  /** Jobs of which two runs were under way at once. */
  twiceAtOnce() {
    return this.#where(({ runs }) => {
      const sorted = [...runs].sort((one, other) => one.began - other.began);
      return sorted.some((run, at) => at > 0 && (sorted[at - 1].ended === undefined || sorted[at - 1].ended > run.began));
    });
  }

  /** Jobs that began again after the server had told a worker that they are completed. */
  runAfterCompletion() {
    return this.#where(({ runs, completed }) => runs.some(({ began }) => began > completed));
  }

  #where(condition) {
    return [...this.#jobs].filter(([, job]) => condition(job)).map(([id, job]) => ({ id, ...job }));
  }

  clear() {
    this.#jobs.clear();
  }
}
