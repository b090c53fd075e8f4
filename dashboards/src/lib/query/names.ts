/** The names that a query may ask for, as the collector's language has them. */

export interface NameHelp {
  name: string;
  about: string;
}

export const NAMES: readonly NameHelp[] = [
  { name: 'host', about: 'the host that sent it' },
  { name: 'service', about: 'the program: nova-compute, libvirtd' },
  { name: 'severity', about: 'err, >=warning' },
  { name: 'facility', about: 'local0, daemon' },
  { name: 'event', about: 'migration.transfer.failed' },
  { name: 'message', about: 'a part of the text' },
  { name: 'request_id', about: 'one request, on all hosts' },
  { name: 'instance', about: "an instance's uuid" },
  { name: 'project', about: "a project's id" },
  { name: 'migration', about: "a migration's id" },
  { name: 'level', about: "the emitter's own: DEBUG" },
  { name: 'logger', about: "the emitter's logger" },
  { name: 'procid', about: 'process id' },
  { name: 'msgid', about: 'type of message' },
  { name: 'peer', about: 'the address it came from' },
  { name: 'flags', about: 'truncated, unparsed, skewed' },
  { name: 'time', about: 'of arrival: >2027-01-31T14:05' },
  { name: 'timestamp', about: "by the emitter's clock" },
  { name: 'fields.', about: 'a key of the JSON body' },
];

export const FACETS = ['severity', 'host', 'service', 'facility', 'event'] as const;
export type Facet = (typeof FACETS)[number];

export function isFacet(name: string): name is Facet {
  return (FACETS as readonly string[]).includes(name);
}
