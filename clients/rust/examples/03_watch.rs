// Prints what happens to all calls.
use callweave::{CallFilter, Watch, WatchItem, client};

#[tokio::main]
async fn main() -> callweave::Result<()> {
    let calls = client().connect()?.calls();
    let cursor = calls.list(CallFilter::default(), 100, "").await?.cursor;
    let mut watch = calls.watch(Watch::new().cursor(cursor));
    while let Some(item) = watch.next().await {
        if let WatchItem::Event(event) = item? {
            println!("{} {}", event.call_id, event.body.name());
        }
    }
    Ok(())
}
