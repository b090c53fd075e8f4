/** Every view of the UI, listed once: its path, its place in the navigation, and the module that shows it. */
import type { Component } from 'svelte';

/** What a page is given: what stands in the segments of its path. One that has no use for it need not take it. */
export interface PageProps {
  parameters: Record<string, string>;
}

export interface View {
  /** Segments; one that begins with a colon is handed to the page under that name. */
  path: string;
  title: string;
  /** Whether the navigation has it. */
  inNavigation: boolean;
  /** What a session must be allowed to do for it to be shown. */
  needs: string;
  load: () => Promise<{ default: Component<PageProps> | Component<Record<string, never>> }>;
}

export const VIEWS: readonly View[] = [
  {
    path: '/explore',
    title: 'Explore',
    inNavigation: true,
    needs: 'lines:read',
    load: () => import('./pages/explore/Explore.svelte'),
  },
  {
    path: '/live',
    title: 'Live',
    inNavigation: true,
    needs: 'lines:read',
    load: () => import('./pages/live/Live.svelte'),
  },
  {
    path: '/hosts',
    title: 'Hosts',
    inNavigation: true,
    needs: 'hosts:read',
    load: () => import('./pages/hosts/Hosts.svelte'),
  },
  {
    path: '/lines/:row_id',
    title: 'Line',
    inNavigation: false,
    needs: 'lines:read',
    load: () => import('./pages/line/Line.svelte'),
  },
  {
    path: '/migrations',
    title: 'Migrations',
    inNavigation: true,
    needs: 'migrations:read',
    load: () => import('./pages/migrations/Migrations.svelte'),
  },
  {
    path: '/migrations/:subject',
    title: 'Migration',
    inNavigation: false,
    needs: 'lines:explain',
    load: () => import('./pages/migrations/Migration.svelte'),
  },
  {
    path: '/requests',
    title: 'Requests',
    inNavigation: true,
    needs: 'lines:read',
    load: () => import('./pages/requests/Requests.svelte'),
  },
  {
    path: '/requests/:request_id',
    title: 'Request',
    inNavigation: false,
    needs: 'lines:read',
    load: () => import('./pages/requests/Request.svelte'),
  },
  {
    path: '/instances',
    title: 'Instances',
    inNavigation: true,
    needs: 'lines:read',
    load: () => import('./pages/instances/Instances.svelte'),
  },
  {
    path: '/instances/:instance',
    title: 'Instance',
    inNavigation: false,
    needs: 'lines:read',
    load: () => import('./pages/instances/Instance.svelte'),
  },
];

/** Where `/` leads. */
export const HOME = '/explore';

export interface Match {
  view: View;
  parameters: Record<string, string>;
}

/** The view of a path with what stands in its segments; null where there is none. */
export function viewOf(path: string, views: readonly View[] = VIEWS): Match | null {
  const segments = path.split('/').filter(Boolean);
  for (const view of views) {
    const wanted = view.path.split('/').filter(Boolean);
    if (wanted.length !== segments.length) continue;
    const parameters: Record<string, string> = {};
    const fits = wanted.every((each, index) => {
      const segment = segments[index]!;
      if (!each.startsWith(':')) return each === segment;
      try {
        parameters[each.slice(1)] = decodeURIComponent(segment);
        return true;
      } catch {
        return false;
      }
    });
    if (fits) return { view, parameters };
  }
  return null;
}
