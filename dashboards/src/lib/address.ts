/** What a page shows, changed in its address. */
import { router } from './router.svelte';

/** The address of here with these parameters; "" takes one out. */
export function addressWith(change: Readonly<Record<string, string>>): string {
  const parameters = router.parameters;
  for (const [name, value] of Object.entries(change)) {
    if (value === '') parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === '' ? router.path : `${router.path}?${text}`;
}

/** Show the same page in another way: no step that the browser's way back undoes. */
export function showWith(change: Readonly<Record<string, string>>): void {
  router.go(addressWith(change), { replace: true });
}
