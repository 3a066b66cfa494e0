// The part of Weir's native API that this package uses, as it stands on the wire. docs/openapi.json has all of it.

export type State = 'ready' | 'delayed' | 'leased' | 'waiting' | 'completed' | 'failed' | 'removed';

export type FailureKind = 'reported' | 'timed_out' | 'stalled' | 'cancelled' | 'expired' | 'child_failed';

export interface Keep {
  age_ms?: number | null;
  count?: number | null;
}

export interface Retry {
  attempts_max?: number;
  backoff?: { fixed_ms: number } | { exponential_ms: number };
  backoff_ms_max?: number;
  jitter_percent?: number;
}

export interface NewJob {
  queue?: string;
  name?: string;
  data: unknown;
  attributes?: Record<string, string>;
  custom_id?: string;
  delay_ms?: number;
  priority?: number;
  lifo?: boolean;
  retry?: Retry;
  keep_completed?: Keep;
  keep_failed?: Keep;
  deduplication?: {
    id: string;
    ttl_ms?: number;
    extend?: boolean;
    replace?: boolean;
    reschedule?: boolean;
    keep_last_if_active?: boolean;
  };
  parent?: { queue: string; id: string };
  on_failure?: 'wait' | 'fail' | 'ignore' | 'remove' | 'continue';
  children?: NewJob[];
}

export interface AddedJob {
  id: string;
  queue?: string;
  duplicate?: boolean;
}

export interface LeasedJob {
  id: string;
  lease: string;
  name?: string;
  data: unknown;
  attempt: number;
  leases: number;
  starts?: number;
  stalls?: number;
  priority: number;
  added_at_ms: number;
  custom_id?: string;
  attributes?: Record<string, unknown>;
}

export interface Settlement {
  lease: string;
  action?: 'complete' | 'fail' | 'release' | 'extend' | 'wait_for_children';
  result?: unknown;
  error?: unknown;
  retry?: boolean;
  delay_ms?: number;
  lease_ms?: number;
}

export interface Settled {
  state?: State;
  due_at_ms?: number;
  code?: string;
  detail?: string;
}

export interface Job {
  id: string;
  queue: string;
  state: State;
  name?: string;
  custom_id?: string;
  data: unknown;
  attributes?: Record<string, unknown>;
  priority: number;
  leases: number;
  starts?: number;
  failures: number;
  stalls: number;
  added_at_ms: number;
  due_at_ms?: number;
  started_at_ms?: number;
  finished_at_ms?: number;
  result?: unknown;
  progress?: unknown;
  failed?: FailureKind;
  history: { kind: FailureKind; lease: number; at_ms: number; error?: unknown }[];
  retry: Retry;
  log_lines: number;
  parent?: { queue?: string; id: string };
  children?: { total: number; unfinished: number };
}

/** A page of a job's log. */
export interface Log {
  lines: string[];
  from: number;
  total: number;
}

export interface ListedJob {
  id: string;
  state: State;
  custom_id?: string;
  priority: number;
  added_at_ms: number;
  due_at_ms?: number;
  finished_at_ms?: number;
}

export interface Child {
  id: string;
  queue?: string;
  state: State;
  result?: unknown;
}

export interface Queue {
  name: string;
  created_at_ms: number;
  counters: Record<'ready' | 'delayed' | 'leased' | 'waiting' | 'completed' | 'failed', number>;
  /** Absent where there are too many different ones. */
  ready_priorities?: { priority: number; count: number }[];
  paused: boolean;
  paused_until_ms?: number;
  stalls_max: number;
  keep_completed: Keep;
  keep_failed: Keep;
  limiters: { limiter: string; key?: string; cost?: string }[];
  tags: Record<string, string>;
}

export interface Limiter {
  limiter: { terms: { windows: { max: number; per_ms: number }[]; concurrency?: number } };
  state: { running: number; paused_until_ms?: number; blocked?: { reason: string; until_ms?: number } };
}

/** What finished of a queue: ever, and in each minute of a stretch of time in which anything did. */
export interface Metrics {
  completed: number;
  failed: number;
  minutes: { at_ms: number; completed: number; failed: number }[];
}

/** Something that happened to a job. */
export interface Happening {
  type: string;
  id: string;
  at_ms: number;
  state?: State;
  until_ms?: number;
  progress?: unknown;
  result?: unknown;
  failure?: FailureKind;
  error?: unknown;
  /** Of a job that was added, or of one that was not because this one has its id. */
  custom_id?: string;
  deduplication_id?: string;
  name?: string;
}

/** Something that happened to a queue, or that a program says. */
export interface QueueHappening {
  type: string;
  id?: undefined;
  until_ms?: number;
  name?: string;
  data?: unknown;
}
