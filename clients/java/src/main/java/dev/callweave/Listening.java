package dev.callweave;

import dev.callweave.v1.AudioSource;
import dev.callweave.v1.CallServiceGrpc;
import dev.callweave.v1.GetCallRequest;
import dev.callweave.v1.ListenCallRequest;
import dev.callweave.v1.ListenCallResponse;
import java.util.Optional;

/** A call that is being heard. A slow reader loses the oldest audio, told as a gap. */
public final class Listening extends Watch<AudioChunk> {
  /** What is heard. */
  public enum Source {
    /** What the agent leg hears. */
    MIXED,
    /** What the agent says. */
    AGENT
  }

  private final Connection connection;
  private final ListenCallRequest request;
  private ServerStream<ListenCallResponse> stream;
  private int rate;
  private boolean closed;
  private volatile AudioFormat format;
  private volatile EndReason endReason;

  Listening(Connection connection, String callId, Source source, AudioFormat format) {
    this.connection = connection;
    request =
        ListenCallRequest.newBuilder()
            .setCallId(callId)
            .setSource(Convert.wire(AudioSource.class, "AUDIO_SOURCE_", source))
            .setFormat(Convert.format(format))
            .build();
  }

  /**
   * The format of all that follows.
   *
   * @return set once the first chunk was read
   */
  public Optional<AudioFormat> format() {
    return Optional.ofNullable(format);
  }

  /**
   * Why the call is over.
   *
   * @return set when the reading ended by that
   */
  public Optional<EndReason> endReason() {
    return Optional.ofNullable(endReason);
  }

  @Override
  public AudioChunk read() {
    ServerStream<ListenCallResponse> open = open();
    while (open != null) {
      ListenCallResponse message = open.read();
      if (message == null) {
        return null;
      }
      switch (message.getItemCase()) {
        case STARTED -> format = Convert.format(message.getStarted(), rate);
        case AUDIO -> {
          long position = message.getAudio().getPosition();
          byte[] pcm = message.getAudio().getPcm().toByteArray();
          return new AudioChunk.Pcm(pcm, position, Convert.at(position, rate));
        }
        case GAP -> {
          return Convert.gap(message.getGap(), rate);
        }
        case ENDED -> {
          endReason = Convert.endReason(message.getEnded());
          return null;
        }
        default -> {
          // A kind newer than this library.
        }
      }
    }
    return null;
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (stream != null) {
      stream.close();
    }
  }

  private ServerStream<ListenCallResponse> open() {
    synchronized (this) {
      if (stream != null || closed) {
        return stream;
      }
    }
    // Positions are at the rate of the call, which may differ from the rate that was asked for.
    GetCallRequest call = GetCallRequest.newBuilder().setCallId(request.getCallId()).build();
    rate =
        connection
            .unary(CallServiceGrpc.getGetCallMethod(), call, Connection.Request.PLAIN)
            .await()
            .getCall()
            .getSampleRateHertz();
    synchronized (this) {
      if (!closed) {
        stream = new ServerStream<>(connection, CallServiceGrpc.getListenCallMethod(), request);
      }
      return stream;
    }
  }
}
