package dev.callweave;

/** Where a written context is safe. */
public enum Durability {
  /** In the store. */
  STORE,
  /** In the replicated log; the store gets it later. */
  REPLICATED_LOG,
  /** On the disk of the gateway alone. */
  LOCAL_DISK
}
