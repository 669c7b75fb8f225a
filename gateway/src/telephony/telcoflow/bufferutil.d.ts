declare module "bufferutil" {
  const bufferUtil: {
    /** Writes the first `length` bytes of `source`, masked, into `output` at `offset`. */
    mask(source: Buffer, mask: Buffer, output: Buffer, offset: number, length: number): void;
    /** Masks in place. */
    unmask(buffer: Buffer, mask: Buffer): void;
  };
  export default bufferUtil;
}
