/**
 * A view of a part of bytes. What connections read is mostly at the same place and as long as the one before, so the last view is
 * kept: making one costs as much as copying a frame.
 */
export class KeptView<Bytes extends Uint8Array = Uint8Array> {
  private last: { readonly bytes: Bytes; readonly from: number; readonly view: Bytes } | undefined;

  /** The part from `from` on; valid until the next is asked for. */
  of(bytes: Bytes, from: number, length: number): Bytes {
    const { last } = this;
    if (last?.bytes === bytes && last.from === from && last.view.length === length) return last.view;
    const view = bytes.subarray(from, from + length) as Bytes;
    this.last = { bytes, from, view };
    return view;
  }
}
