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
