/** Events that a watcher which catches up is given in one step: some 1 ms. */
export const EVENTS_PER_STEP = 64;

/** Steps of all who catch up at a log in one turn of the event loop: many of them must not hold up calls. */
export const STEPS_PER_TURN = 4;
