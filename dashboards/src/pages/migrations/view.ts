/** The list of migrations as its address says it, and what it leaves of them. */
import type { MigrationRow } from '../../lib/api/stories';
import type { Range } from '../../lib/time';

export type Group = 'failed' | 'running' | 'completed' | 'cancelled';

export interface MigrationsView {
  range: Range;
  /** "" for all of them. */
  state: Group | '';
  kind: string;
  host: string;
}

export const GROUPS: readonly { group: Group; title: string }[] = [
  { group: 'failed', title: 'Failed' },
  { group: 'running', title: 'Under way' },
  { group: 'completed', title: 'Completed' },
  { group: 'cancelled', title: 'Given up' },
];
export const USUAL_RANGE: Range = { since: '24h', until: '' };
const STATES: Readonly<Record<string, Group>> = {
  error: 'failed',
  failed: 'failed',
  completed: 'completed',
  finished: 'completed',
  confirmed: 'completed',
  reverted: 'completed',
  cancelled: 'cancelled',
};

export function groupOf(state: string): Group {
  return Object.hasOwn(STATES, state) ? STATES[state]! : 'running';
}

export function viewFrom(parameters: URLSearchParams): MigrationsView {
  const state = parameters.get('state') ?? '';
  return {
    range: { since: parameters.get('since') ?? USUAL_RANGE.since, until: parameters.get('until') ?? '' },
    state: GROUPS.find((each) => each.group === state)?.group ?? '',
    kind: parameters.get('kind') ?? '',
    host: parameters.get('host') ?? '',
  };
}

/** Its URL, without what is as always. */
export function urlFrom(view: MigrationsView): string {
  const search = new URLSearchParams();
  const { range, state, kind, host } = view;
  if (range.since !== USUAL_RANGE.since || range.until !== '') search.set('since', range.since);
  for (const [name, value] of Object.entries({ until: range.until, state, kind, host })) {
    if (value !== '') search.set(name, value);
  }
  const text = search.toString();
  return text === '' ? '/migrations' : `/migrations?${text}`;
}

/** Those of a kind and a host, whatever became of them; a host by a part of its name. */
export function ofKindAndHost(rows: readonly MigrationRow[], view: MigrationsView): MigrationRow[] {
  const host = view.host.trim().toLowerCase();
  return rows.filter(
    (row) =>
      (view.kind === '' || row.type === view.kind) &&
      (host === '' || [row.source, row.dest].some((each) => each?.toLowerCase().includes(host))),
  );
}

export function kindsOf(rows: readonly MigrationRow[]): string[] {
  return [...new Set(rows.flatMap((row) => row.type ?? []))].sort();
}

export function hostsOf(rows: readonly MigrationRow[]): string[] {
  return [...new Set(rows.flatMap((row) => [row.source ?? [], row.dest ?? []].flat()))].sort();
}

/** Where a migration, an instance or a request is explained. */
export function explainedAt(subject: string): string {
  return `/migrations/${encodeURIComponent(subject)}`;
}
