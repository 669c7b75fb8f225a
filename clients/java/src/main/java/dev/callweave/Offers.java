package dev.callweave;

import dev.callweave.v1.Accept;
import dev.callweave.v1.AgentItem;
import dev.callweave.v1.Decline;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.UnaryOperator;

/** The offers of a session that are not decided, and those that were taken and not yet assigned. */
final class Offers {
  private static final int MAX_REASON = 100;

  private final Map<String, Offer> offers = new LinkedHashMap<>();
  private final Loop loop;
  private final SessionPort port;

  /** The stream to answer on, if that of the offer is gone; null when there is none. */
  private final UnaryOperator<ServeStream> alive;

  Offers(Loop loop, SessionPort port, UnaryOperator<ServeStream> alive) {
    this.loop = loop;
    this.port = port;
    this.alive = alive;
  }

  int size() {
    return offers.size();
  }

  void clear() {
    offers.clear();
  }

  /** It was assigned, revoked or refused. Null when it is not known. */
  Offer remove(String offerId) {
    Offer offer = offers.remove(offerId);
    if (offer != null) {
      port.offerGone();
    }
    return offer;
  }

  void onOffer(ServeStream stream, dev.callweave.v1.Offer wire, boolean draining) {
    String offerId = wire.getOfferId();
    if (draining) {
      decline(stream, offerId, "draining");
      return;
    }
    Offer offer =
        new Offer(
            wire.getCall(),
            wire.hasContext() ? wire.getContext() : null,
            wire.getAttempt(),
            Convert.time(wire.getTimeLeft()),
            Convert.named(
                EscalationReason.class, "ESCALATION_REASON_", wire.getEscalationReason()));
    CompletableFuture<Decision> asked = port.accept(offer);
    // Counted from now on, so that two offers at once do not both take the last place.
    offers.put(offerId, offer);
    asked.whenComplete(
        (decision, thrown) -> loop.run(() -> decided(stream, offerId, decision, thrown)));
  }

  private void decided(ServeStream stream, String offerId, Decision decision, Throwable thrown) {
    Offer offer = offers.get(offerId);
    if (offer == null) {
      return;
    }
    if (decision != null && decision.taken()) {
      Accept accept = Accept.newBuilder().setOfferId(offerId).build();
      answer(stream, AgentItem.newBuilder().setAccept(accept).build());
      return;
    }
    remove(offerId);
    if (thrown != null) {
      port.error(CallweaveException.from(thrown), offer.call().getCallId());
    }
    String reason = decision == null ? "the agent failed to decide" : decision.reason();
    decline(stream, offerId, reason == null || reason.isEmpty() ? "declined" : reason);
  }

  private void decline(ServeStream stream, String offerId, String reason) {
    String cut = reason.substring(0, Math.min(MAX_REASON, reason.length()));
    Decline decline = Decline.newBuilder().setOfferId(offerId).setReason(cut).build();
    answer(stream, AgentItem.newBuilder().setDecline(decline).build());
  }

  private void answer(ServeStream stream, AgentItem item) {
    ServeStream open = alive.apply(stream);
    if (open != null) {
      open.send(item);
    }
  }
}
