/** Where we are: the address bar as state. Every view is a URL, so going somewhere is all that pages do to change. */

class Router {
  path = $state(window.location.pathname);
  search = $state(window.location.search);

  constructor() {
    window.addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => this.#follow(event));
  }

  get parameters(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  /** Show the view at `url`, a path of ours with its query; with `replace` the way back skips where we are now. */
  go(url: string, { replace = false }: { replace?: boolean } = {}): void {
    if (url === this.path + this.search) return;
    if (replace) window.history.replaceState(null, '', url);
    else window.history.pushState(null, '', url);
    this.#read();
  }

  #read(): void {
    this.path = window.location.pathname;
    this.search = window.location.search;
  }

  #follow(event: MouseEvent): void {
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || event.defaultPrevented || !(event.target instanceof Element)) return;
    const link = event.target.closest('a');
    if (!(link instanceof HTMLAnchorElement) || link.target !== '' || link.hasAttribute('download')) return;
    if (link.origin !== window.location.origin || link.pathname.startsWith('/api/')) return;
    if (link.hash !== '') return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export const router = new Router();
