package dev.callweave;

/**
 * A text from a supervisor, heard by nobody.
 *
 * @param text the text
 * @param author who sent it: {@code client:NAME}
 */
public record Note(String text, String author) {}
