import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;

/** Sends one order with the official client: NAME_SERVER TOPIC ORDER_ID SERIAL. */
public class SendOrder {
    public static void main(String[] args) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer("java-order-producer");
        producer.setNamesrvAddr(args[0]);
        // A JVM that has just started on a busy machine takes longer than the usual 3 s.
        producer.setSendMsgTimeout(60_000);
        producer.setMqClientApiTimeout(60_000);
        producer.start();
        try {
            String body = String.format(
                "{\"version\":1,\"order_id\":\"%s\",\"serial_no\":\"%s\",\"payer\":\"user-1\","
                    + "\"payee\":\"shop-1\",\"amount\":1234,\"currency\":\"CNY\"}",
                args[2], args[3]);
            Message message = new Message(
                args[1], "pay", args[2], body.getBytes(StandardCharsets.UTF_8));
            SendResult result = producer.send(message);
            if (result.getSendStatus() != SendStatus.SEND_OK) {
                throw new IllegalStateException("send: " + result.getSendStatus());
            }
        } finally {
            producer.shutdown();
        }
    }
}
