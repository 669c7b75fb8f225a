use crate::call_inner::CallInner;
use crate::outbox::Source;
use crate::player::Outgoing;
use crate::proto;
use crate::proto::agent_item::Item;

impl Source for CallInner {
    fn next_urgent(&self, outbox: u64) -> Option<Item> {
        let mut core = self.core();
        if core.outbox.as_ref()?.id != outbox {
            return None;
        }
        core.urgent.pop_front()
    }

    fn next_item(&self, outbox: u64) -> Option<Item> {
        let now = self.now();
        let mut core = self.core();
        if core.outbox.as_ref()?.id != outbox {
            return None;
        }
        if let Some(item) = core.urgent.pop_front() {
            return Some(item);
        }
        let handle = core.handle;
        let item = loop {
            match core.player.next(now)? {
                Outgoing::Audio(pcm) => break Item::Audio(proto::AgentAudio { handle, pcm }),
                Outgoing::Mark(name) => break Item::Mark(proto::Mark { handle, name }),
                Outgoing::Command(id) => {
                    if let Some(command) = core.commands.take_to_send(&id, handle) {
                        break Item::Command(command);
                    }
                }
            }
        };
        let room = core.player.has_room();
        drop(core);
        if room {
            self.room.notify_waiters();
        }
        Some(item)
    }

    fn has_playback(&self) -> bool {
        let core = self.core();
        !core.player.queue.is_empty() || !core.urgent.is_empty()
    }
}
