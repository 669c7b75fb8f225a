// Lists the pools, with tracing to standard output and an interceptor that joins the trace of the caller.
use callweave::client;

#[tokio::main]
async fn main() -> callweave::Result<()> {
    // With a layer of tracing-opentelemetry instead, events and spans go to a collector.
    tracing_subscriber::fmt().with_ansi(false).init();
    let client = client()
        .interceptor(|mut request| {
            let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            request.metadata_mut().insert("traceparent", trace.parse().expect("visible ASCII"));
            tracing::info!(trace, "a request");
            Ok(request)
        })
        .connect()?;
    for pool in client.fleet().pools().await? {
        tracing::info!(pool.name, pool.waiting, "a pool");
    }
    Ok(())
}
