// @ts-check
/**
 * The few WASI calls that a command-line program compiled to WASI needs to read its arguments and write one file,
 * answered from memory: no file system, no node:wasi. (node:wasi of Node 20 crashed the process after a few runs of a
 * 21 MB module; a fault in here can only be an exception of the one run.)
 */

const ERRNO = { SUCCESS: 0, BADF: 8, INVAL: 28, NOENT: 44 };
const FILETYPE = { DIRECTORY: 3, REGULAR: 4, CHARACTER: 2 };
const PREOPEN_FD = 3;
const FIRST_FILE_FD = 4;

/** Thrown by proc_exit to unwind the program; `code` is its exit status. */
class ProcessExit extends Error {
  /** @param {number} code */
  constructor(code) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** A file in memory that grows by doubling. */
class MemoryFile {
  #bytes = new Uint8Array(256 * 1024);
  length = 0;
  position = 0;

  /** @param {number} maxBytes beyond this a write fails */
  constructor(maxBytes) {
    this.maxBytes = maxBytes;
  }

  /** @param {Uint8Array} data @returns {boolean} false when the file would be larger than allowed */
  write(data) {
    const end = this.position + data.length;
    if (end > this.maxBytes) return false;
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.length));
      this.#bytes = grown;
    }
    this.#bytes.set(data, this.position);
    this.position = end;
    this.length = Math.max(this.length, end);
    return true;
  }

  content() {
    return this.#bytes.slice(0, this.length);
  }
}

/**
 * Run `instance._start` once.
 * @param {WebAssembly.Module} module
 * @param {string[]} args the program's arguments, its name first; a file it writes must lie under `/o/`
 * @param {{ maxFileBytes?: number }} [options] bound of each file, bytes; default 64 MiB
 * @returns {{ exitCode: number, files: Map<string, Uint8Array>, stderr: string }}
 */
export function runWasi(module, args, options = {}) {
  const maxFileBytes = options.maxFileBytes ?? 64 * 1024 * 1024;
  const encodedArgs = args.map((arg) => new TextEncoder().encode(`${arg}\0`));
  /** @type {Map<number, MemoryFile>} */
  const open = new Map();
  /** @type {Map<string, MemoryFile>} */
  const files = new Map();
  let nextFd = FIRST_FILE_FD;
  let stderr = "";
  /** @type {WebAssembly.Memory} */
  let memory;
  const view = () => new DataView(memory.buffer);
  /** @param {number} pointer @param {number} length */
  const bytes = (pointer, length) => new Uint8Array(memory.buffer, pointer, length);

  const wasi = {
    /** @param {number} argv @param {number} buffer */
    args_get(argv, buffer) {
      let at = buffer;
      encodedArgs.forEach((arg, index) => {
        view().setUint32(argv + index * 4, at, true);
        bytes(at, arg.length).set(arg);
        at += arg.length;
      });
      return ERRNO.SUCCESS;
    },
    /** @param {number} count @param {number} size */
    args_sizes_get(count, size) {
      view().setUint32(count, encodedArgs.length, true);
      view().setUint32(
        size,
        encodedArgs.reduce((sum, arg) => sum + arg.length, 0),
        true,
      );
      return ERRNO.SUCCESS;
    },
    /** @param {number} _id @param {bigint} _precision @param {number} result */
    clock_time_get(_id, _precision, result) {
      view().setBigUint64(result, BigInt(Math.round(performance.now() * 1e6)), true);
      return ERRNO.SUCCESS;
    },
    /** @param {number} fd */
    fd_close(fd) {
      return open.delete(fd) || fd <= PREOPEN_FD ? ERRNO.SUCCESS : ERRNO.BADF;
    },
    /** @param {number} fd @param {number} result */
    fd_fdstat_get(fd, result) {
      const type =
        fd < PREOPEN_FD ? FILETYPE.CHARACTER : fd === PREOPEN_FD ? FILETYPE.DIRECTORY : FILETYPE.REGULAR;
      if (fd > PREOPEN_FD && !open.has(fd)) return ERRNO.BADF;
      bytes(result, 24).fill(0);
      view().setUint8(result, type);
      view().setBigUint64(result + 8, 0xffffffffffffffffn, true);
      view().setBigUint64(result + 16, 0xffffffffffffffffn, true);
      return ERRNO.SUCCESS;
    },
    fd_fdstat_set_flags: () => ERRNO.SUCCESS,
    /** @param {number} fd @param {number} result */
    fd_prestat_get(fd, result) {
      if (fd !== PREOPEN_FD) return ERRNO.BADF;
      view().setUint32(result, 0, true);
      view().setUint32(result + 4, 2, true);
      return ERRNO.SUCCESS;
    },
    /** @param {number} fd @param {number} path @param {number} length */
    fd_prestat_dir_name(fd, path, length) {
      if (fd !== PREOPEN_FD || length < 2) return ERRNO.INVAL;
      bytes(path, 2).set([0x2f, 0x6f]);
      return ERRNO.SUCCESS;
    },
    /** @param {number} _fd @param {number} _iovs @param {number} _count @param {number} result */
    fd_read(_fd, _iovs, _count, result) {
      view().setUint32(result, 0, true);
      return ERRNO.SUCCESS;
    },
    /** @param {number} fd @param {bigint} offset @param {number} whence @param {number} result */
    fd_seek(fd, offset, whence, result) {
      const file = open.get(fd);
      if (!file) return ERRNO.BADF;
      const base = whence === 0 ? 0 : whence === 1 ? file.position : file.length;
      file.position = base + Number(offset);
      view().setBigUint64(result, BigInt(file.position), true);
      return ERRNO.SUCCESS;
    },
    /** @param {number} fd @param {number} iovs @param {number} count @param {number} result */
    fd_write(fd, iovs, count, result) {
      const file = open.get(fd);
      if (!file && fd !== 1 && fd !== 2) return ERRNO.BADF;
      let written = 0;
      for (let i = 0; i < count; i++) {
        const pointer = view().getUint32(iovs + i * 8, true);
        const length = view().getUint32(iovs + i * 8 + 4, true);
        if (file) {
          if (!file.write(bytes(pointer, length))) return ERRNO.INVAL;
        } else if (stderr.length < 4096) {
          stderr += new TextDecoder().decode(bytes(pointer, length).slice());
        }
        written += length;
      }
      view().setUint32(result, written, true);
      return ERRNO.SUCCESS;
    },
    /**
     * @param {number} fd @param {number} _dirflags @param {number} path @param {number} length
     * @param {number} oflags @param {bigint} _base @param {bigint} _inheriting @param {number} _flags @param {number} result
     */
    path_open(fd, _dirflags, path, length, oflags, _base, _inheriting, _flags, result) {
      if (fd !== PREOPEN_FD) return ERRNO.BADF;
      if ((oflags & 1) === 0) return ERRNO.NOENT; // only files that are to be created
      const file = new MemoryFile(maxFileBytes);
      files.set(new TextDecoder().decode(bytes(path, length).slice()), file);
      open.set(nextFd, file);
      view().setUint32(result, nextFd++, true);
      return ERRNO.SUCCESS;
    },
    /** @param {number} code */
    proc_exit(code) {
      throw new ProcessExit(code);
    },
  };

  const instance = new WebAssembly.Instance(module, { wasi_snapshot_preview1: wasi });
  memory = /** @type {WebAssembly.Memory} */ (instance.exports.memory);
  let exitCode = 0;
  try {
    /** @type {() => void} */ (instance.exports._start)();
  } catch (error) {
    if (!(error instanceof ProcessExit)) throw error;
    exitCode = error.code;
  }
  return {
    exitCode,
    files: new Map([...files].map(([name, file]) => [name, file.content()])),
    stderr,
  };
}
