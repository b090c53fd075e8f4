/** Hosts in the order that is asked for, and which of them. */
import type { Host, State } from './fleet';

export const SORTS = ['state', 'name', 'seen', 'lines', 'errors', 'clock', 'gaps', 'dropped'] as const;
export type Sort = (typeof SORTS)[number];

export interface Order {
  sort: Sort;
  /** Whether it is turned around. */
  isReversed: boolean;
}

/** What is worth a look comes first; equal ones by their names. */
const KEYS: Readonly<Record<Exclude<Sort, 'name'>, (host: Host) => number>> = {
  // Silent ones by how long, the others in peace by their names.
  state: (host) => (host.state === 'active' ? 1 : -seen(host)),
  seen: (host) => -seen(host),
  lines: (host) => -host.lines,
  errors: (host) => -host.errors,
  clock: (host) => -Math.abs(host.skewS ?? 0),
  gaps: (host) => -(host.missing + host.unclosed),
  dropped: (host) => -host.dropped,
};
const collator = new Intl.Collator('en', { numeric: true });

export function ordered(hosts: readonly Host[], { sort, isReversed }: Order): Host[] {
  const byName = (a: Host, b: Host): number => collator.compare(a.name ?? '', b.name ?? '');
  const sign = isReversed ? -1 : 1;
  if (sort === 'name') return [...hosts].sort((a, b) => sign * byName(a, b));
  const key = KEYS[sort];
  return [...hosts].sort((a, b) => (key(a) === key(b) ? byName(a, b) : sign * (key(a) < key(b) ? -1 : 1)));
}

/** Those with all of the words in their names, or in those of their services. */
export function filtered(hosts: readonly Host[], text: string): readonly Host[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return hosts;
  return hosts.filter((host) => {
    const names = [host.name ?? '', ...host.services.map((service) => service.name)].join('\n').toLowerCase();
    return words.every((word) => names.includes(word));
  });
}

export function countOf(hosts: readonly Host[], state: State): number {
  return hosts.filter((host) => host.state === state).length;
}

function seen(host: Host): number {
  return host.silentS ?? Infinity;
}
