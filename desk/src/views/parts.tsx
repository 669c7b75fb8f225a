import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../text/index.js";

const PATHS = {
  phone:
    "M6.6 10.8a15 15 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11 11 0 0 0 3.6.58 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1 11 11 0 0 0 .57 3.6 1 1 0 0 1-.25 1z",
  missed: "M19.6 7 12 14.6 6.4 9H11V7H3v8h2v-4.6l7 7 9-9z",
  people:
    "M16 11a3 3 0 1 0-3-3 3 3 0 0 0 3 3zm-8 0a3 3 0 1 0-3-3 3 3 0 0 0 3 3zm0 2c-2.3 0-7 1.2-7 3.5V19h14v-2.5C15 14.2 10.3 13 8 13zm8 0-.97.05A4.2 4.2 0 0 1 17 16.5V19h6v-2.5c0-2.3-4.7-3.5-7-3.5z",
  mic: "M12 14a3 3 0 0 0 3-3V5a3 3 0 0 0-6 0v6a3 3 0 0 0 3 3zm5-3a5 5 0 0 1-10 0H5a7 7 0 0 0 6 6.9V21h2v-3.1A7 7 0 0 0 19 11z",
  micOff:
    "M19 11h-1.7a4.9 4.9 0 0 1-.5 2.1l1.3 1.3a6.8 6.8 0 0 0 .9-3.4zM15 11.2V5a3 3 0 0 0-5.9-.7zM4.3 3 3 4.3l6 6V11a3 3 0 0 0 3.7 2.9l1.7 1.7A5 5 0 0 1 7 11H5a7 7 0 0 0 6 6.9V21h2v-3.1a7 7 0 0 0 2.8-1l4.1 4.1 1.3-1.3z",
  ear: "M17 20a3 3 0 0 1-2.7-1.7L13 15.6c-.3-.7-.9-1.2-1.5-1.6A5.5 5.5 0 1 1 19.9 9h-2a3.5 3.5 0 1 0-5.3 3 5.7 5.7 0 0 1 2.2 2.800l1.3 2.700A1 1 0 0 0 18 17h2a3 3 0 0 1-3 3zM7.6 2.6 6.2 1.200a11 11 0 0 0 0 15.600l1.4-1.400a9 9 0 0 1 0-12.800zM12 9a2.5 2.5 0 0 0 5 0 2.5 2.5 0 0 0-5 0z",
  headset: "M12 3a9 9 0 0 0-9 9v5a3 3 0 0 0 3 3h3v-8H5a7 7 0 0 1 14 0h-4v8h3a3 3 0 0 0 3-3v-5a9 9 0 0 0-9-9z",
  note: "M4 4h16v11l-5 5H4zm2 2v12h8v-4h4V6zm2 3h8v2H8zm0 4h4v2H8z",
  stop: "M6 6h12v12H6z",
  back: "M20 11H7.800l5.6-5.600L12 4l-8 8 8 8 1.4-1.400L7.8 13H20z",
  close: "M19 6.4 17.6 5 12 10.6 6.4 5 5 6.4 10.6 12 5 17.6 6.4 19 12 13.4 17.6 19 19 17.6 13.4 12z",
  bell: "M12 22a2 2 0 0 0 2-2h-4a2 2 0 0 0 2 2zm6-6v-5c0-3.1-1.6-5.6-4.5-6.300V4a1.5 1.5 0 0 0-3 0v.7C7.6 5.4 6 7.9 6 11v5l-2 2v1h16v-1z",
  sound:
    "M3 9v6h4l5 5V4L7 9zm13.5 3A4.5 4.5 0 0 0 14 8v8a4.5 4.5 0 0 0 2.5-4zM14 3.200v2.100a7 7 0 0 1 0 13.400v2.100a9 9 0 0 0 0-17.600z",
  keys: "M20 5H4a2 2 0 0 0-2 2v10a2 2 0 0 0 2 2h16a2 2 0 0 0 2-2V7a2 2 0 0 0-2-2zm-9 3h2v2h-2zm0 3h2v2h-2zM8 8h2v2H8zm0 3h2v2H8zm-1 2H5v-2h2zm0-3H5V8h2zm9 7H8v-2h8zm0-4h-2v-2h2zm0-3h-2V8h2zm3 3h-2v-2h2zm0-3h-2V8h2z",
  handover: "M14 4l6 6-6 6v-4C8 12 5 14 4 19c0-7 4-11 10-11z",
  hangUp:
    "M12 9c-1.6 0-3.2.25-4.6.72v3.100a1 1 0 0 1-.56.9 10 10 0 0 0-2.6 1.9 1 1 0 0 1-1.4 0L.3 13.100a1 1 0 0 1 0-1.400A16.6 16.6 0 0 1 12 7c4.6 0 8.7 1.8 11.7 4.700a1 1 0 0 1 0 1.400l-2.5 2.500a1 1 0 0 1-1.4 0 10 10 0 0 0-2.6-1.9 1 1 0 0 1-.56-.9v-3.100A15 15 0 0 0 12 9z",
  check: "M9 16.2 4.8 12l-1.4 1.400L9 19 21 7l-1.4-1.400z",
  link: "M3.9 12a3.1 3.1 0 0 1 3.1-3.100h4V7H7a5 5 0 0 0 0 10h4v-1.900H7A3.1 3.1 0 0 1 3.9 12zM8 13h8v-2H8zm9-6h-4v1.900h4a3.1 3.1 0 0 1 0 6.200h-4V17h4a5 5 0 0 0 0-10z",
} as const;

/** The name of a picture. */
export type IconName = keyof typeof PATHS;

/** A picture beside a word; never alone, so it is hidden from readers. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  readonly icon?: IconName;
  readonly kind?: "primary" | "danger" | "quiet" | "plain";
  /** The key that does the same. */
  readonly hint?: string;
  readonly children?: ComponentChildren;
};

/** The key that does the same; readers of the screen are told by aria-keyshortcuts. */
export function Key({ name }: { readonly name: string }) {
  return (
    <span class="key" aria-hidden="true">
      {name}
    </span>
  );
}

/** A button with a picture, a word, and the key that does the same. */
export function Button({ icon, kind = "plain", hint, children, class: extra, ...rest }: ButtonProps) {
  return (
    <button type="button" class={`button ${kind} ${extra ?? ""}`} aria-keyshortcuts={hint} {...rest}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
      {hint && <Key name={hint} />}
    </button>
  );
}

/** A word in a coloured box; the word says it all, the colour only helps. */
export function Chip({
  tone = "plain",
  children,
}: {
  readonly tone?: string;
  readonly children: ComponentChildren;
}) {
  return <span class={`chip tone-${tone}`}>{children}</span>;
}

/** A dialog of the browser's own: focus stays inside, Escape closes. */
export function Dialog(props: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    ref.current?.showModal();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog of the browser's own
    <dialog
      ref={ref}
      class="dialog"
      aria-labelledby="dialog-title"
      onClose={props.onClose}
      onClick={(event) => event.target === ref.current && ref.current?.close()}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{props.title}</h2>
          <Button kind="quiet" icon="close" onClick={() => ref.current?.close()}>
            {t("close")}
          </Button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

/** A sentence in the middle of an empty place. */
export function Empty({ icon, children }: { readonly icon: IconName; readonly children: ComponentChildren }) {
  return (
    <div class="empty">
      <Icon name={icon} />
      <p>{children}</p>
    </div>
  );
}
