package dev.callweave;

/**
 * A written context and where it is safe.
 *
 * @param context as it is now, without turns
 * @param durability where it is safe; null when nothing was said about it
 */
public record Written(dev.callweave.v1.CallContext context, Durability durability) {}
