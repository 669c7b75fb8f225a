package dev.callweave;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.ByteString;
import dev.callweave.v1.AgentAudio;
import dev.callweave.v1.AgentItem;
import dev.callweave.v1.Command;
import dev.callweave.v1.Mark;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

class OutboxTest {
  private final Loop loop = new Loop("test");
  private final List<List<AgentItem>> written = new ArrayList<>();
  private final List<FakeSource> sources = new ArrayList<>();
  private boolean ready = true;
  private boolean overflowed;

  private static final class FakeSource implements Outbox.Source {
    final ArrayDeque<AgentItem> items = new ArrayDeque<>();

    FakeSource(int handle, int count, int bytes) {
      for (int i = 0; i < count; i++) {
        AgentAudio audio =
            AgentAudio.newBuilder()
                .setHandle(handle)
                .setPcm(ByteString.copyFrom(new byte[bytes]))
                .build();
        items.add(AgentItem.newBuilder().setAudio(audio).build());
      }
    }

    @Override
    public AgentItem nextItem() {
      return items.poll();
    }

    @Override
    public boolean hasPlayback() {
      return !items.isEmpty();
    }
  }

  private Outbox outbox(int maxItems, int maxBytes, int maxControl) {
    Outbox.Port port =
        new Outbox.Port() {
          @Override
          public boolean ready() {
            return ready;
          }

          @Override
          public void write(List<AgentItem> items) {
            written.add(items);
          }

          @Override
          public Collection<FakeSource> sources() {
            return sources;
          }

          @Override
          public void overflow() {
            overflowed = true;
          }
        };
    return new Outbox(loop, port, new Outbox.Limits(maxItems, maxBytes, maxControl), 5);
  }

  /** Does it on the loop and waits until all was written. */
  private void onLoop(Outbox outbox, Runnable task) {
    CompletableFuture<Void> idle = new CompletableFuture<>();
    loop.execute(
        () -> {
          task.run();
          outbox.whenIdle(() -> idle.complete(null));
        });
    idle.join();
  }

  private static AgentItem mark(String name) {
    return AgentItem.newBuilder().setMark(Mark.newBuilder().setName(name)).build();
  }

  @Test
  void mergesWhatIsReadyTogetherControlFirst() {
    sources.add(new FakeSource(1, 2, 10));
    sources.add(new FakeSource(2, 2, 10));
    Outbox outbox = outbox(256, 262_144, 100);
    onLoop(
        outbox,
        () -> {
          outbox.kick();
          outbox.send(mark("a"));
          outbox.send(mark("b"));
        });
    assertEquals(1, written.size());
    List<AgentItem> items = written.get(0);
    assertEquals(
        List.of("a", "b"), items.subList(0, 2).stream().map(i -> i.getMark().getName()).toList());
    assertEquals(
        List.of(1, 2, 1, 2),
        items.subList(2, 6).stream().map(i -> i.getAudio().getHandle()).toList());
  }

  @Test
  void capsAMessageInItems() {
    Outbox outbox = outbox(256, 262_144, 1_000);
    onLoop(
        outbox,
        () -> {
          for (int i = 0; i < 300; i++) {
            outbox.send(mark("m" + i));
          }
        });
    assertEquals(List.of(256, 44), written.stream().map(List::size).toList());
  }

  @Test
  void capsAMessageInBytes() {
    sources.add(new FakeSource(1, 100, 3_200));
    Outbox outbox = outbox(256, 10_000, 1_000);
    onLoop(outbox, outbox::kick);
    assertEquals(100, written.stream().mapToInt(List::size).sum());
    for (List<AgentItem> items : written) {
      assertTrue(items.stream().mapToInt(item -> item.getSerializedSize() + 6).sum() <= 10_000);
    }
  }

  @Test
  void sendsASingleLargerItemAlone() {
    AgentItem large =
        AgentItem.newBuilder()
            .setCommand(Command.newBuilder().setRequestId("x".repeat(2_000)))
            .build();
    Outbox outbox = outbox(256, 1_000, 1_000);
    onLoop(
        outbox,
        () -> {
          outbox.send(mark("a"));
          outbox.send(large);
          outbox.send(mark("b"));
        });
    assertEquals(List.of(1, 1, 1), written.stream().map(List::size).toList());
  }

  @Test
  void waitsForTheStreamAndMergesMeanwhile() {
    Outbox outbox = outbox(256, 262_144, 1_000);
    CompletableFuture<Void> looked = new CompletableFuture<>();
    loop.execute(
        () -> {
          ready = false;
          outbox.send(mark("a"));
          outbox.send(mark("b"));
        });
    loop.after(20, () -> looked.complete(null));
    looked.join();
    assertEquals(List.of(), written);
    onLoop(outbox, () -> ready = true);
    assertEquals(List.of(2), written.stream().map(List::size).toList());
  }

  @Test
  void givesUpWhenTheControlQueueIsFull() {
    Outbox outbox = outbox(256, 262_144, 100);
    CompletableFuture<Boolean> at = new CompletableFuture<>();
    loop.execute(
        () -> {
          ready = false;
          for (int i = 0; i < 100; i++) {
            outbox.send(mark("m"));
          }
          boolean early = overflowed;
          outbox.send(mark("one too many"));
          at.complete(!early && overflowed);
        });
    assertTrue(at.join());
  }
}
