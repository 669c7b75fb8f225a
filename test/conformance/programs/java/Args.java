import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** A command as it came. */
record Args(JsonObject json) {
  boolean has(String name) {
    return json.has(name) && !json.get(name).isJsonNull();
  }

  String text(String name) {
    return has(name) ? json.get(name).getAsString() : "";
  }

  long number(String name, long otherwise) {
    return has(name) ? json.get(name).getAsLong() : otherwise;
  }

  boolean flag(String name, boolean otherwise) {
    return has(name) ? json.get(name).getAsBoolean() : otherwise;
  }

  Args at(String name) {
    return new Args(json.getAsJsonObject(name));
  }

  List<String> texts(String name) {
    List<String> texts = new ArrayList<>();
    json.getAsJsonArray(name).forEach(element -> texts.add(element.getAsString()));
    return texts;
  }

  /** Gives the argument to a setter, if it is there. */
  void text(String name, Consumer<String> setter) {
    if (has(name)) {
      setter.accept(text(name));
    }
  }

  void millis(String name, Consumer<Duration> setter) {
    if (has(name)) {
      setter.accept(Duration.ofMillis(number(name, 0)));
    }
  }

  <E extends Enum<E>> void constant(String name, Class<E> type, Consumer<E> setter) {
    if (has(name)) {
      setter.accept(Enum.valueOf(type, text(name)));
    }
  }

  /** As plain maps, lists, texts, numbers and booleans. */
  static Object plain(JsonElement element) {
    if (element.isJsonObject()) {
      Map<String, Object> map = new LinkedHashMap<>();
      element
          .getAsJsonObject()
          .entrySet()
          .forEach(entry -> map.put(entry.getKey(), plain(entry.getValue())));
      return map;
    }
    if (element.isJsonArray()) {
      List<Object> list = new ArrayList<>();
      element.getAsJsonArray().forEach(entry -> list.add(plain(entry)));
      return list;
    }
    if (element.isJsonNull()) {
      return null;
    }
    if (element.getAsJsonPrimitive().isBoolean()) {
      return element.getAsBoolean();
    }
    return element.getAsJsonPrimitive().isNumber() ? element.getAsDouble() : element.getAsString();
  }
}
