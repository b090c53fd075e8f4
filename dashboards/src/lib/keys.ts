/** Keys of a page: they act wherever nothing is being typed. */
import { onMount } from 'svelte';

export type Keys = Readonly<Record<string, (event: KeyboardEvent) => void>>;

/** While the component lasts, call what `keys` has for the key that is pressed. */
export function onKeys(keys: Keys): void {
  onMount(() => {
    const press = (event: KeyboardEvent): void => {
      const act = keys[event.key];
      if (act === undefined || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target) || isActing(event) || document.querySelector('dialog[open]') !== null) return;
      event.preventDefault();
      act(event);
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  });
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest('input, select, textarea') !== null;
}

/** Enter belongs to the button or link that has the focus. */
function isActing(event: KeyboardEvent): boolean {
  const isPressing = event.key === 'Enter' || event.key === ' ';
  return isPressing && event.target instanceof Element && event.target.closest('button, a, summary') !== null;
}
