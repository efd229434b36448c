// A stand-in for DC/OS's Cosmos: takes a package and options and gives the Marathon app, or the error that Cosmos answers.
// The template is rendered and the options are checked by the libraries that Cosmos itself uses, in its versions; the
// rules around them are its own: defaults, then options, then resource.json; strings as JSON text without quotes; no HTML
// escapes; five labels.
//
// One request a line on standard input, one answer a line on standard output:
//   {"package": {...}, "options": {...}, "source": URL}   an entry of a repository document
//       -> {"app": {...}}  or  {"error": {"type": ..., "message": ..., "data": ...}}
//   {"schema": URL or {...}, "instance": ...}
//       -> {"problems": [...]}, none where the instance fits

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.github.fge.jsonschema.core.report.ProcessingReport;
import com.github.fge.jsonschema.main.JsonSchema;
import com.github.fge.jsonschema.main.JsonSchemaFactory;
import com.github.mustachejava.DefaultMustacheFactory;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.io.Writer;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;

public final class Cosmos {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
          .build();

  /** An error as Cosmos answers it. */
  private static final class Refused extends Exception {
    final ObjectNode error = JSON.createObjectNode();

    Refused(String type, String message, JsonNode data) {
      error.put("type", type).put("message", message).set("data", data);
    }
  }

  public static void main(String[] arguments) throws IOException {
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line; (line = in.readLine()) != null; ) {
      ObjectNode answer = JSON.createObjectNode();
      try {
        JsonNode request = JSON.readTree(line);
        if (request.has("schema")) {
          answer.set("problems", problems(request.get("schema"), request.get("instance")));
        } else {
          answer.set("app", render(request));
        }
      } catch (Refused refused) {
        answer.set("error", refused.error);
      } catch (Exception failure) {
        // What Cosmos answers with status 500.
        answer.set(
            "error",
            new Refused("unhandled_exception", failure.toString(), JSON.createObjectNode()).error);
      }
      out.println(JSON.writeValueAsString(answer));
    }
  }

  // --- rendering -------------------------------------------------------------------------------

  private static JsonNode render(JsonNode request) throws Exception {
    JsonNode definition = request.get("package");
    ObjectNode options = (ObjectNode) request.get("options");
    ObjectNode context = JSON.createObjectNode();
    merge(context, defaults(definition.path("config").path("properties")));
    merge(context, options);
    if (!context.isEmpty()) {
      ArrayNode problems = problems(definition.get("config"), context);
      if (!problems.isEmpty()) {
        ObjectNode data = JSON.createObjectNode();
        data.set("errors", problems);
        throw new Refused("JsonSchemaMismatch", "Options JSON failed validation", data);
      }
    }
    ObjectNode resource = JSON.createObjectNode();
    resource.set("resource", definition.get("resource"));
    merge(context, resource);

    byte[] template =
        Base64.getDecoder().decode(definition.at("/marathon/v2AppMustacheTemplate").textValue());
    String text = execute(new String(template, StandardCharsets.UTF_8), context);
    JsonNode app;
    try {
      app = JSON.readTree(text);
    } catch (JsonProcessingException failure) {
      ObjectNode data = JSON.createObjectNode();
      data.put("parsingError", failure.getMessage()).put("parsingInput", text);
      throw new Refused("JsonParsingError", "Unable to parse the string as a JSON value", data);
    }
    if (!app.isObject()) {
      throw new Refused(
          "MarathonTemplateMustBeJsonObject$",
          "Rendered Marathon JSON must be a JSON object",
          JSON.createObjectNode());
    }
    label((ObjectNode) app, definition, options, request.path("source").asText());
    return app;
  }

  private static String execute(String template, ObjectNode context) {
    var factory =
        new DefaultMustacheFactory() {
          @Override
          public void encode(String value, Writer writer) {
            try {
              writer.write(value);
            } catch (IOException failure) {
              throw new IllegalStateException(failure);
            }
          }
        };
    var output = new StringWriter();
    factory
        .compile(new StringReader(template), ".marathon.v2AppMustacheTemplate")
        .execute(output, java(context, false));
    return output.toString();
  }

  /** Strings are their JSON text, without its quotes unless they stand in an array. */
  private static Object java(JsonNode json, boolean inArray) {
    if (json.isNull()) {
      return null;
    } else if (json.isBoolean()) {
      return json.booleanValue();
    } else if (json.isNumber()) {
      BigDecimal number = json.decimalValue();
      try {
        return number.toBigIntegerExact();
      } catch (ArithmeticException fraction) {
        return number.doubleValue();
      }
    } else if (json.isTextual()) {
      String text = json.toString();
      return inArray ? text : text.substring(1, text.length() - 1);
    } else if (json.isArray()) {
      List<Object> list = new ArrayList<>();
      json.forEach(item -> list.add(java(item, true)));
      return list;
    }
    Map<String, Object> map = new HashMap<>();
    json.fields().forEachRemaining(field -> map.put(field.getKey(), java(field.getValue(), false)));
    return map;
  }

  /** Of each property its default, or those of what is inside it. */
  private static ObjectNode defaults(JsonNode properties) {
    ObjectNode found = JSON.createObjectNode();
    properties
        .fields()
        .forEachRemaining(
            property -> {
              JsonNode schema = property.getValue();
              if (schema.has("default")) {
                found.set(property.getKey(), schema.get("default"));
              } else if (schema.has("properties")) {
                ObjectNode inside = defaults(schema.get("properties"));
                if (!inside.isEmpty()) {
                  found.set(property.getKey(), inside);
                }
              }
            });
    return found;
  }

  /** Objects are merged, all else is replaced. */
  private static void merge(ObjectNode into, JsonNode from) {
    for (Iterator<Map.Entry<String, JsonNode>> fields = from.fields(); fields.hasNext(); ) {
      Map.Entry<String, JsonNode> field = fields.next();
      JsonNode old = into.get(field.getKey());
      if (old != null && old.isObject() && field.getValue().isObject()) {
        merge((ObjectNode) old, field.getValue());
      } else {
        into.set(field.getKey(), field.getValue().deepCopy());
      }
    }
  }

  private static void label(ObjectNode app, JsonNode definition, ObjectNode options, String source)
      throws Exception {
    JsonNode existing = app.path("labels");
    if (!existing.isObject()) {
      app.set("labels", JSON.createObjectNode());
    }
    for (JsonNode value : app.get("labels")) {
      if (!value.isTextual()) {
        throw new Refused("JsonDecodingError", "Unable to decode the JSON value", existing);
      }
    }
    ObjectNode labels = (ObjectNode) app.get("labels");
    labels.put("DCOS_PACKAGE_NAME", definition.get("name").asText());
    labels.put("DCOS_PACKAGE_VERSION", definition.get("version").asText());
    labels.put("DCOS_PACKAGE_SOURCE", source);
    labels.put("DCOS_PACKAGE_OPTIONS", base64(options.toString().getBytes(StandardCharsets.UTF_8)));
    var zipped = new ByteArrayOutputStream();
    try (var gzip = new GZIPOutputStream(zipped)) {
      gzip.write(definition.toString().getBytes(StandardCharsets.UTF_8));
    }
    ObjectNode envelope = JSON.createObjectNode();
    envelope.putObject("metadata").put("Content-Encoding", "gzip");
    envelope.put("data", base64(zipped.toByteArray()));
    labels.put(
        "DCOS_PACKAGE_DEFINITION", base64(envelope.toString().getBytes(StandardCharsets.UTF_8)));
  }

  /** 128.0 is the whole number 128 to Cosmos. */
  private static JsonNode whole(JsonNode json) {
    if (json.isObject()) {
      ObjectNode object = JSON.createObjectNode();
      json.fields().forEachRemaining(field -> object.set(field.getKey(), whole(field.getValue())));
      return object;
    } else if (json.isArray()) {
      ArrayNode array = JSON.createArrayNode();
      json.forEach(item -> array.add(whole(item)));
      return array;
    } else if (json.isNumber()) {
      try {
        return JSON.getNodeFactory().numberNode(json.decimalValue().toBigIntegerExact());
      } catch (ArithmeticException fraction) {
        return json;
      }
    }
    return json;
  }

  private static String base64(byte[] bytes) {
    return Base64.getEncoder().encodeToString(bytes);
  }

  // --- schemas ---------------------------------------------------------------------------------

  private static ArrayNode problems(JsonNode schema, JsonNode instance) throws Exception {
    JsonSchemaFactory factory = JsonSchemaFactory.byDefault();
    JsonSchema compiled =
        schema.isTextual()
            ? factory.getJsonSchema(schema.textValue())
            : factory.getJsonSchema(whole(schema));
    ProcessingReport report = compiled.validate(whole(instance));
    ArrayNode found = JSON.createArrayNode();
    // Where something is wrong Cosmos shows warnings too.
    if (!report.isSuccess()) {
      report.forEach(message -> found.add(message.asJson()));
    }
    return found;
  }
}
