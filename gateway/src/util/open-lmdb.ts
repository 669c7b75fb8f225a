import { open, type RootDatabase } from "lmdb";

/**
 * Addresses kept for a file, bytes; they take no memory. A file that outgrows its addresses is mapped again, and lmdb keeps the
 * earlier mappings: pages of a file that has grown to 40 MB are then mapped, and counted, nearly twice.
 */
const MAP_SIZE = 2 ** 34;

/** Opens (or makes) an LMDB environment in a folder, for so many named databases. A commit resolves once it is on disk. */
export function openLmdb(path: string, maxDbs: number): RootDatabase {
  // Without overlapping sync a commit resolves after fsync and not before.
  return open({ path, maxDbs, overlappingSync: false, mapSize: MAP_SIZE });
}
