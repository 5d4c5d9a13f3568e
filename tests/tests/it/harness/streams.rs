//! Long responses: that they flow, and that a client sees it when they are cut.

use countersign_tests::client::Protocol;
use countersign_tests::eventually::eventually;

use super::hop::Hop;

#[tokio::test]
async fn a_cut_is_seen_on_http1_and_http2_while_the_stream_flows() {
    for protocol in Protocol::ALL {
        let mut hop = Hop::start().await;
        let mut stream = hop.client().connect(protocol).await.unwrap().stream("/stream").await.unwrap();
        stream.flows(3).await;
        assert_eq!(hop.upstream.open_streams(), 1);
        hop.envoy.process().kill();
        stream.until_cut().await;
        eventually("end of the stream at the service", async || (hop.upstream.open_streams() == 0).then_some(())).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_stream_at_the_service() {
    let hop = Hop::start().await;
    for protocol in Protocol::ALL {
        let mut stream = hop.client().connect(protocol).await.unwrap().stream("/stream").await.unwrap();
        stream.flows(1).await;
        drop(stream);
        eventually("end of the stream at the service", async || (hop.upstream.open_streams() == 0).then_some(())).await;
    }
}
