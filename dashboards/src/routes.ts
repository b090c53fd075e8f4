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
    path: '/lines/:row_id',
    title: 'Line',
    inNavigation: false,
    needs: 'lines:read',
    load: () => import('./pages/line/Line.svelte'),
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
