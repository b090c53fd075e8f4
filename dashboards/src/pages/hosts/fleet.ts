/** From what the collector says of a day and of an hour to the fleet: who is silent, and what is wrong with whom. */
import type { HostReport, HostsAnswer } from '../../lib/api/types';

export type State = 'silent' | 'late' | 'active';

export interface Service {
  name: string;
  silentS: number;
}

export interface Host {
  /** Null for lines that name no host. */
  name: string | null;
  state: State;
  /** Null where it was never heard of. */
  silentS: number | null;
  lastSeen: string | null;
  /** The longest silent ones first. */
  services: readonly Service[];
  /** In the last hour, like `errors`. */
  lines: number;
  errors: number;
  skewS: number | null;
  missing: number;
  unclosed: number;
  dropped: number;
  gaps: HostReport['gaps'];
}

export const LATE_S = 300;
export const SILENT_S = 900;

/** All hosts of both answers; the hour's is the newer one. */
export function fleetOf(day: HostsAnswer | null, hour: HostsAnswer, nowMs: number): Host[] {
  const now = clockOf(hour) ?? nowMs;
  const known = new Map((day?.hosts ?? []).map((host) => [host.name, host]));
  const recent = new Map(hour.hosts.map((host) => [host.name, host]));
  return [...new Set([...recent.keys(), ...known.keys()])].map((name) => {
    const [old, latest] = [known.get(name), recent.get(name)];
    const host = (latest ?? old)!;
    const lastSeen = later(latest?.last_seen, old?.last_seen);
    const silentS = lastSeen === null ? null : secondsSince(lastSeen, now);
    return {
      name,
      state: stateOf(silentS),
      silentS,
      lastSeen,
      services: servicesOf({ ...old?.services, ...latest?.services }, now),
      lines: latest?.lines ?? 0,
      errors: latest?.errors ?? 0,
      skewS: host.skew_s ?? old?.skew_s ?? null,
      missing: host.missing,
      unclosed: host.unclosed,
      dropped: host.dropped,
      gaps: host.gaps,
    };
  });
}

export function stateOf(silentS: number | null): State {
  if (silentS === null || silentS >= SILENT_S) return 'silent';
  return silentS >= LATE_S ? 'late' : 'active';
}

/** What makes an answer, by the collector's own clock. */
function clockOf(answer: HostsAnswer): number | null {
  for (const { last_seen, silent_s } of answer.hosts) {
    if (last_seen !== null && silent_s !== null) return Date.parse(last_seen) + silent_s * 1000;
  }
  return null;
}

function later(one: string | null | undefined, other: string | null | undefined): string | null {
  const [a, b] = [one ?? null, other ?? null];
  if (a === null || b === null) return a ?? b;
  return Date.parse(a) >= Date.parse(b) ? a : b;
}

function servicesOf(services: Record<string, string>, now: number): Service[] {
  return Object.entries(services)
    .map(([name, seen]) => ({ name, silentS: secondsSince(seen, now) }))
    .sort((a, b) => rank(b.silentS) - rank(a.silentS) || a.name.localeCompare(b.name));
}

/** Of those that speak the order is that of their names: it would change all the time. */
function rank(silentS: number): number {
  return silentS >= LATE_S ? silentS : 0;
}

function secondsSince(text: string, now: number): number {
  return Math.max(0, (now - Date.parse(text)) / 1000);
}
