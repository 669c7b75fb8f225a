package dev.callweave;

import java.util.concurrent.CompletableFuture;

/** What a session asks and tells. */
interface SessionPort {
  Contexts contexts();

  /** Whether to take it. Runs on the loop, answers when it can. */
  CompletableFuture<Decision> accept(Offer offer);

  void assigned(CallImpl call);

  /** An offer is gone. */
  void offerGone();

  void connected(Session session, String gatewayId);

  void disconnected(Session session, CallweaveException error, double retryInMs);

  /** Register elsewhere; this session only keeps its calls. */
  void goingAway(Session session, double deadlineMs);

  double load();

  void error(Throwable thrown, String callId);

  /** It is over; with an error when it can never work. */
  void finished(Session session, CallweaveException error);
}
