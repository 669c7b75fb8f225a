package callweave

import (
	"math"
	"slices"
	"time"
)

// piece is what waits behind the audio of its call: audio, or a marker (a mark or a command) that is sent when all audio
// before it was sent.
type piece struct {
	pcm    []byte
	length time.Duration
	// Called when this piece, the last of what was played, was given to the stream.
	done   func()
	marker marker
}

// marker stands for a mark or a command; the zero value for audio.
type marker struct {
	kind byte // 'm' or 'c'
	id   string
}

func (p *piece) isAudio() bool { return p.marker.kind == 0 }

const (
	// After PLAYBACK_FULL the refused audio is sent again after this long …
	retryAfterFull = 500 * time.Millisecond
	// … or after this long, once progress was told: what is still on its way is refused as well.
	retryAfterProgress = 200 * time.Millisecond
	// A report this soon after a write may be older than that write.
	settleTime = time.Second
)

// position is what a gateway tells of the playback of a call.
type position struct{ queued, unheard, played time.Duration }

func (p position) atGateway() time.Duration { return p.queued + p.unheard }

// playbackQueue has the audio, marks and waiting commands of one call, in order, and decides how much of it may be sent
// when: sendAhead beyond what was heard, judged by the own clock, corrected by the progress that the gateway tells. It
// knows no socket and no timer.
//
// Audio that was sent is kept until it is confirmed as heard, so that what a gateway refused (PLAYBACK_FULL) or cut (a lost
// stream) can be sent again.
type playbackQueue struct {
	maxQueued, sendAhead, maxUnconfirmed time.Duration
	bytesPerSecond                       int
	now                                  func() time.Duration

	items   []piece
	waiting time.Duration
	// Sent and not confirmed, oldest first.
	sent       []piece
	sentLength time.Duration
	// On the gateway's clock of heard audio: where the newest sent audio ends.
	endPosition time.Duration
	// On the own clock: when all that was sent is heard.
	heardAt       time.Duration
	lastSend      time.Duration
	refused       int
	refusedAt     time.Duration
	progressSince bool
	clearing      int
}

// ahead is what was sent and, by the own clock, not yet heard.
func (q *playbackQueue) ahead() time.Duration { return max(0, q.heardAt-q.now()) }

func (q *playbackQueue) empty() bool { return len(q.items) == 0 && q.refused == 0 }

func (q *playbackQueue) lengthOf(bytes int) time.Duration {
	return time.Duration(float64(bytes) / float64(q.bytesPerSecond) * float64(time.Second))
}

// pushAudio appends audio; false when there is no room, taking nothing.
func (q *playbackQueue) pushAudio(pcm []byte, done func()) bool {
	length := q.lengthOf(len(pcm))
	if q.waiting+length > q.maxQueued {
		return false
	}
	most := max(2, int(maxItem.Seconds()*float64(q.bytesPerSecond))&^1)
	for len(pcm) > 0 {
		n := min(most, len(pcm))
		item := piece{pcm: pcm[:n:n], length: q.lengthOf(n)}
		if pcm = pcm[n:]; len(pcm) == 0 {
			item.done = done
		}
		q.items = append(q.items, item)
	}
	q.waiting += length
	return true
}

func (q *playbackQueue) pushMarker(m marker) { q.items = append(q.items, piece{marker: m}) }

// removeMarker takes a marker out again, if it is still here.
func (q *playbackQueue) removeMarker(m marker) {
	for i := range q.items {
		if q.items[i].marker == m {
			q.items = append(q.items[:i:i], q.items[i+1:]...)
			return
		}
	}
}

// next is the next piece to send now; false when nothing may be sent yet.
func (q *playbackQueue) next() (piece, bool) {
	now := q.now()
	if q.refused > 0 {
		wait := retryAfterFull
		if q.progressSince {
			wait = retryAfterProgress
		}
		if now-q.refusedAt < wait {
			return piece{}, false
		}
		q.takeBackRefused()
	}
	if len(q.items) == 0 {
		return piece{}, false
	}
	item := q.items[0]
	if item.isAudio() && (q.heardAt-now >= q.sendAhead || q.sentLength > 0 && q.sentLength+item.length > q.maxUnconfirmed) {
		return piece{}, false
	}
	q.items[0] = piece{}
	q.items = q.items[1:]
	kept := item
	kept.done = nil
	q.sent = append(q.sent, kept)
	if item.isAudio() {
		q.waiting = max(0, q.waiting-item.length)
		q.sentLength += item.length
		q.endPosition += item.length
		q.heardAt = max(q.heardAt, now) + item.length
		q.lastSend = now
		if item.done != nil {
			item.done()
		}
	}
	return item, true
}

// onProgress: the gateway told how far it is.
func (q *playbackQueue) onProgress(p position) {
	if q.clearing > 0 {
		return
	}
	now := q.now()
	if q.refused > 0 {
		q.progressSince = true
		return
	}
	if p.atGateway() == 0 && now-q.lastSend > settleTime {
		// Nothing is on its way and nothing is there: whatever the clocks say, all of it is over.
		q.confirmAll()
		q.endPosition = p.played
		q.heardAt = now
		return
	}
	remaining := min(q.sentLength, max(0, q.endPosition-p.played))
	q.heardAt = now + remaining
	q.confirmDownTo(remaining)
}

// onMarkPlayed: a mark was heard, and so was all audio before it.
func (q *playbackQueue) onMarkPlayed(m marker) {
	for i := range q.sent {
		if q.sent[i].marker != m {
			continue
		}
		for _, item := range q.sent[:i] {
			q.sentLength = max(0, q.sentLength-item.length)
		}
		q.sent = append([]piece(nil), q.sent[i+1:]...)
		q.heardAt = min(q.heardAt, q.now()+q.sentLength)
		return
	}
}

// onFull: an audio item was refused, for the gateway's ring is full. Nothing is sent until there is progress.
func (q *playbackQueue) onFull() {
	q.refused++
	q.refusedAt = q.now()
	q.progressSince = false
}

// clear empties the queue. It gives what was dropped here and which markers waited here, in order.
func (q *playbackQueue) clear() (dropped time.Duration, markers []marker) {
	dropped = q.waiting
	items := q.items
	now := q.now()
	q.endPosition -= max(0, q.heardAt-now)
	q.heardAt = now
	q.items = nil
	q.waiting = 0
	q.confirmAll()
	q.refused = 0
	q.clearing++
	for i := range items {
		if !items[i].isAudio() {
			markers = append(markers, items[i].marker)
		} else if items[i].done != nil {
			items[i].done()
		}
	}
	return dropped, markers
}

// onCleared: the gateway answered the clear with how much was heard until then.
func (q *playbackQueue) onCleared(played time.Duration) {
	q.clearing = max(0, q.clearing-1)
	if q.clearing == 0 {
		q.endPosition = played + q.sentLength
	}
}

// onReattached: the call is on another stream. What the gateway does not have any more is put back to the front, to be
// sent again. It gives the markers that are confirmed as passed and those that are to be sent again.
func (q *playbackQueue) onReattached(p position) (passed, again []marker) {
	q.clearing = 0
	q.refused = 0
	atGateway := min(q.sentLength, p.atGateway())
	remaining := min(q.sentLength, max(0, q.endPosition-p.played))
	passed = q.confirmDownTo(remaining)
	lost := remaining - atGateway
	first := len(q.sent)
	var back []piece
	for ; first > 0; first-- {
		item := q.sent[first-1]
		if item.isAudio() && lost <= 0 {
			break
		}
		if !item.isAudio() {
			again = append(again, item.marker)
			back = append(back, item)
			continue
		}
		keep := max(0, item.length-lost)
		lost -= item.length
		q.sentLength = max(0, q.sentLength-item.length)
		if keep > 0 {
			item = q.tail(item.pcm, keep)
		}
		back = append(back, item)
	}
	q.sent = q.sent[:first:first]
	slices.Reverse(back)
	slices.Reverse(again)
	q.putBack(back)
	q.endPosition = p.played + atGateway
	q.heardAt = q.now() + atGateway
	return passed, again
}

// onTakenOver: another gateway has the call now, and nothing of what was sent. What was not heard yet by the own clock,
// ahead when the stream was lost, is put back to the front.
func (q *playbackQueue) onTakenOver(p position, ahead time.Duration) (passed, again []marker) {
	q.endPosition = p.played + min(q.sentLength, ahead)
	return q.onReattached(position{played: p.played})
}

// startAt: the gateway's clock stands there.
func (q *playbackQueue) startAt(p position) {
	q.endPosition = p.played + p.atGateway()
	q.heardAt = q.now() + p.atGateway()
	q.lastSend = math.MinInt64 / 2
}

// takeBackRefused puts the last audio items that were sent, which were not taken, back to the front, in order.
func (q *playbackQueue) takeBackRefused() {
	var back []piece
	for q.refused > 0 && len(q.sent) > 0 {
		item := q.sent[len(q.sent)-1]
		q.sent = q.sent[:len(q.sent)-1]
		// Markers among them were taken by the gateway: they stay sent, though they come early now.
		if !item.isAudio() {
			continue
		}
		back = append(back, item)
		q.refused--
		q.sentLength = max(0, q.sentLength-item.length)
		q.endPosition -= item.length
		q.heardAt -= item.length
	}
	q.refused = 0
	slices.Reverse(back)
	q.putBack(back)
}

func (q *playbackQueue) putBack(items []piece) {
	for i := range items {
		q.waiting += items[i].length
	}
	q.items = append(items, q.items...)
}

func (q *playbackQueue) tail(pcm []byte, skip time.Duration) piece {
	bytes := min(len(pcm), int(math.Round(skip.Seconds()*float64(q.bytesPerSecond)))&^1)
	rest := pcm[bytes:]
	return piece{pcm: rest, length: q.lengthOf(len(rest))}
}

// confirmDownTo forgets the oldest sent audio until at most this much is left; it gives the markers passed.
func (q *playbackQueue) confirmDownTo(remaining time.Duration) (passed []marker) {
	i := 0
	for ; i < len(q.sent); i++ {
		item := &q.sent[i]
		if !item.isAudio() {
			passed = append(passed, item.marker)
		} else if q.sentLength-item.length >= remaining-500*time.Microsecond {
			q.sentLength = max(0, q.sentLength-item.length)
		} else {
			break
		}
	}
	q.sent = append([]piece(nil), q.sent[i:]...)
	return passed
}

func (q *playbackQueue) confirmAll() {
	q.sent = nil
	q.sentLength = 0
}
