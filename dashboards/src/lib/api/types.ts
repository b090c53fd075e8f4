/** What the collector's `/api/v1` answers, under its own names. */

export const SEVERITIES = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** A line of the log; what it has no value for is absent. */
export interface Row {
  row_id: number;
  observed_timestamp: string;
  timestamp?: string;
  hostname?: string;
  peer: string;
  facility: string;
  severity: Severity;
  app_name?: string;
  procid?: string;
  msgid?: string;
  structured_data?: string;
  message: string;
  logger?: string;
  level?: string;
  request_id?: string;
  instance?: string;
  project?: string;
  event?: string;
  migration?: string;
  fields?: Record<string, unknown>;
  host_start?: string;
  sequence?: number;
  flags?: string[];
  batch?: number;
}

export interface Times {
  since: string | null;
  until: string | null;
}

export interface CountedTable {
  columns: string[];
  rows: (string | number | null)[][];
}

export interface SearchAnswer extends Times {
  rows?: Row[];
  next?: string | null;
  up_to_row_id?: number;
  table?: CountedTable;
  counted?: number;
  others?: number;
  is_partial: boolean;
  reached: string | null;
  took_s: number;
}

export interface Bucket {
  time: string;
  count: number;
  severities: Partial<Record<Severity, number>>;
}

export interface HistogramAnswer {
  interval_s: number;
  buckets: Bucket[];
  counted: number;
  is_partial: boolean;
  reached: string | null;
  since: string;
  until: string;
}

export interface FacetValue {
  value: string | null;
  count: number;
}

export interface FacetsAnswer extends Times {
  facets: Record<string, FacetValue[]>;
  others: Record<string, number>;
  is_partial: boolean;
  reached: string | null;
}

export interface ContextAnswer {
  before: Row[];
  row: Row;
  after: Row[];
  is_partial: boolean;
}

/** How a host's lines come in. */
export interface HostReport {
  /** Null for lines that name no host. */
  name: string | null;
  lines: number;
  errors: number;
  last_seen: string | null;
  silent_s: number | null;
  /** The emitter's time of its newest line less that of arrival. */
  skew_s: number | null;
  dropped: number;
  missing: number;
  unclosed: number;
  gaps: [string, number, number][];
  services: Record<string, string>;
}

export interface HostsAnswer extends Times {
  hosts: HostReport[];
  lag_s: number;
  is_partial: boolean;
  reached: string | null;
}

export interface Who {
  name: string;
  role: string;
  may: string[];
}

export interface SessionAnswer {
  signed_in: Who | null;
  is_open: boolean;
  has_identity: boolean;
}
