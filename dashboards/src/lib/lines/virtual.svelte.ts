/** Which of many rows are in the page: those in sight and a few around them. */
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer,
  type VirtualItem,
} from '@tanstack/virtual-core';
import { tick } from 'svelte';

/** So many rows beyond those in sight are ready for who scrolls; where nobody does, few. */
const AROUND = 12;
const AROUND_STUCK = 3;
/** Heights that were measured, of rows that are and of rows that were: beyond that they are measured again. */
const MAX_MEASURED = 5000;

export interface Layout {
  count: number;
  /** The height of a row that has not been measured. */
  rowPx: number;
  keyOf: (index: number) => number | string;
  /** Whether the last row stays in sight whatever comes. */
  sticks?: boolean;
}

export class VirtualRows {
  items = $state.raw<VirtualItem[]>([]);
  /** Of all rows. */
  height = $state(0);
  /** The head covers that much of what would be in sight. */
  readonly #headPx: number;
  readonly #scroller: () => HTMLElement;
  readonly #virtualizer: Virtualizer<HTMLElement, HTMLElement>;
  #sticks = false;

  constructor(scroller: () => HTMLElement, headPx: number) {
    this.#scroller = scroller;
    this.#headPx = headPx;
    this.#virtualizer = new Virtualizer<HTMLElement, HTMLElement>({
      count: 0,
      getScrollElement: scroller,
      estimateSize: () => 0,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      onChange: (_, isScrolling) => this.#show(!isScrolling),
      scrollPaddingEnd: headPx,
    });
  }

  /** Once the scroller is in the page; what it returns is for when it goes. */
  mount(): () => void {
    return this.#virtualizer._didMount();
  }

  lay({ count, rowPx, keyOf, sticks = false }: Layout): void {
    this.#sticks = sticks;
    if (this.#virtualizer.itemSizeCache.size > MAX_MEASURED + count) this.#virtualizer.itemSizeCache.clear();
    this.#virtualizer.setOptions({
      ...this.#virtualizer.options,
      count,
      estimateSize: () => rowPx,
      getItemKey: keyOf,
      overscan: sticks ? AROUND_STUCK : AROUND,
    });
    this.#virtualizer._willUpdate();
    this.#show(true);
  }

  /** An action for a row that has the height that it takes, at the `data-index` that it has. */
  readonly measured = (element: HTMLElement, isMeasured: boolean) => {
    if (isMeasured) this.#virtualizer.measureElement(element);
    return {
      update: (isNowMeasured: boolean) => {
        if (isNowMeasured || isMeasured) this.#virtualizer.measureElement(element);
        isMeasured = isNowMeasured;
      },
      destroy: () => this.#virtualizer.measureElement(null),
    };
  };

  /** Rows are laid out in another way: what is in the page is measured, all else estimated again. */
  async remeasure(): Promise<void> {
    await tick();
    this.#virtualizer.measure();
    for (const element of this.#virtualizer.elementsCache.values()) this.#virtualizer.measureElement(element);
  }

  scrollTo(index: number, align: 'auto' | 'center'): void {
    this.#virtualizer.scrollToIndex(index, { align });
  }

  /** What is in sight stays there, behind so many rows that have been laid out in front of it. */
  scrollBehind(count: number): void {
    this.#virtualizer.scrollBy(this.#virtualizer.measurementsCache[count]?.start ?? 0);
  }

  toBegin(): void {
    this.#virtualizer.scrollToOffset(0);
  }

  #show(staysAtEnd: boolean): void {
    this.height = this.#virtualizer.getTotalSize();
    if (this.#sticks && staysAtEnd) {
      // Said beforehand: the browser's own event comes a frame late, and until then there would be nothing in sight.
      const seenPx = (this.#virtualizer.scrollRect?.height ?? 0) - this.#headPx;
      this.#virtualizer.scrollOffset = Math.max(0, this.height - seenPx);
      void tick().then(() => {
        if (this.#sticks) this.#scroller().scrollTop = this.height + this.#headPx;
      });
    }
    this.items = this.#virtualizer.getVirtualItems();
  }
}
