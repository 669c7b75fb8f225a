package dev.callweave;

/**
 * What became of appended turns.
 *
 * @param turnCount how many turns the context has now
 * @param durability where they are safe; null when nothing was said about it
 */
public record Appended(int turnCount, Durability durability) {}
