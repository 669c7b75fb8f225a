import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows drawn above and below what is seen. */
const OVERSCAN = 6;

interface VirtualListProps<T> {
  readonly items: readonly T[];
  readonly keyOf: (item: T) => string;
  readonly row: (item: T, index: number) => ComponentChildren;
  /** The height of a row that was never drawn, px. */
  readonly estimate: number;
  readonly label: string;
  readonly class?: string;
  /** Stays at the end while rows are added there, unless the reader has scrolled up. */
  readonly stickToEnd?: boolean;
  /** The row to bring into sight. */
  readonly reveal?: string;
  readonly empty?: ComponentChildren;
}

/**
 * A list of which only the rows in sight are in the page: 500 calls or 2,000 turns scroll like ten. Heights are
 * measured as rows are drawn, and estimated before.
 */
export function VirtualList<T>(props: VirtualListProps<T>) {
  const { items, keyOf, row, estimate } = props;
  const box = useRef<HTMLElement>(null);
  const heights = useRef(new Map<string, number>());
  const atEnd = useRef(true);
  const [view, setView] = useState({ top: 0, height: 800 });
  const [, remeasured] = useState(0);

  const tops: number[] = [];
  let total = 0;
  for (const item of items) {
    tops.push(total);
    total += heights.current.get(keyOf(item)) ?? estimate;
  }
  const first = Math.max(0, firstAfter(tops, view.top) - 1 - OVERSCAN);
  const last = Math.min(items.length, firstAfter(tops, view.top + view.height) + OVERSCAN);

  const look = () => {
    const at = box.current;
    if (!at) return;
    atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 40;
    setView({ top: at.scrollTop, height: at.clientHeight });
  };

  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const observer = new ResizeObserver(look);
    observer.observe(at);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    let changed = false;
    for (const element of box.current?.querySelectorAll<HTMLElement>("[data-key]") ?? []) {
      const key = element.dataset.key ?? "";
      const height = element.offsetHeight;
      if (height > 0 && heights.current.get(key) !== height) {
        heights.current.set(key, height);
        changed = true;
      }
    }
    if (changed) remeasured((count) => count + 1);
    if (props.stickToEnd && atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  });

  useEffect(() => {
    const index = props.reveal === undefined ? -1 : items.findIndex((item) => keyOf(item) === props.reveal);
    const at = box.current;
    if (index < 0 || !at) return;
    const top = tops[index] ?? 0;
    const height = heights.current.get(props.reveal ?? "") ?? estimate;
    if (top < at.scrollTop) at.scrollTop = top;
    else if (top + height > at.scrollTop + at.clientHeight) at.scrollTop = top + height - at.clientHeight;
  }, [props.reveal]);

  return (
    <section
      ref={box}
      class={`virtual ${props.class ?? ""}`}
      onScroll={look}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a place that scrolls has to be reachable by keyboard
      tabIndex={0}
      aria-label={props.label}
    >
      {items.length === 0 ? (
        props.empty
      ) : (
        <ul class="virtual-rows" aria-label={props.label} style={{ height: `${total}px` }}>
          {items.slice(first, last).map((item, i) => (
            <li
              key={keyOf(item)}
              data-key={keyOf(item)}
              aria-setsize={items.length}
              aria-posinset={first + i + 1}
              style={{ transform: `translateY(${tops[first + i] ?? 0}px)` }}
            >
              {row(item, first + i)}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

/** The first index whose top is beyond `value`; binary, since there may be thousands. */
function firstAfter(tops: readonly number[], value: number): number {
  let low = 0;
  let high = tops.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tops[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
