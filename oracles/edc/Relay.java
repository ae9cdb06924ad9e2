// What released artifacts of EDC 0.15 lack for a whole flow in one process: the key pair that its
// transfer tokens are signed with, and an endpoint at which data are fetched with such a token.
// Whether the token is good is for the data plane of EDC to say.

import com.nimbusds.jose.jwk.Curve;
import com.nimbusds.jose.jwk.gen.ECKeyGenerator;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.HeaderParam;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Response;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.Map;
import org.eclipse.edc.connector.dataplane.spi.Endpoint;
import org.eclipse.edc.connector.dataplane.spi.iam.DataPlaneAuthorizationService;
import org.eclipse.edc.connector.dataplane.spi.iam.PublicEndpointGeneratorService;
import org.eclipse.edc.runtime.metamodel.annotation.Inject;
import org.eclipse.edc.spi.security.Vault;
import org.eclipse.edc.spi.system.ServiceExtension;
import org.eclipse.edc.spi.system.ServiceExtensionContext;
import org.eclipse.edc.web.spi.WebService;
import org.eclipse.edc.web.spi.configuration.PortMapping;
import org.eclipse.edc.web.spi.configuration.PortMappingRegistry;

public class Relay implements ServiceExtension {
    private static final String SOURCE = "https://w3id.org/edc/v0.0.1/ns/baseUrl";

    @Inject
    private Vault vault;
    @Inject
    private PortMappingRegistry ports;
    @Inject
    private WebService web;
    @Inject
    private PublicEndpointGeneratorService endpoints;
    @Inject
    private DataPlaneAuthorizationService tokens;

    @Override
    public void initialize(ServiceExtensionContext context) {
        var port = context.getConfig().getInteger("relay.port");
        try {
            var pair = new ECKeyGenerator(Curve.P_256).keyID("public").generate();
            vault.storeSecret("private", pair.toJSONString());
            vault.storeSecret("public", pair.toPublicJWK().toJSONString());
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
        ports.register(new PortMapping("relay", port, "/data"));
        web.registerResource("relay", new Data(tokens));
        endpoints.addGeneratorFunction("HttpData", source -> Endpoint.url("http://127.0.0.1:" + port + "/data"));
    }

    @Path("/")
    public static class Data {
        private final DataPlaneAuthorizationService tokens;
        private final HttpClient client = HttpClient.newHttpClient();

        Data(DataPlaneAuthorizationService tokens) {
            this.tokens = tokens;
        }

        @GET
        public Response get(@HeaderParam("Authorization") String token) throws Exception {
            var known = tokens.authorize(String.valueOf(token), Map.of());
            if (known.failed()) {
                return Response.status(403).entity(known.getFailureDetail()).build();
            }
            var source = URI.create(known.getContent().getStringProperty(SOURCE));
            var found = client.send(HttpRequest.newBuilder(source).build(), BodyHandlers.ofByteArray());
            return Response.status(found.statusCode()).type("application/json").entity(found.body()).build();
        }
    }
}
