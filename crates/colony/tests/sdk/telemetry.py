"""Two spans, a record of a log and points of metrics of each kind, by OpenTelemetry's SDK as it is."""

import logging
import sys
import uuid

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

# A process of its own each time.
resource = Resource.create({"service.name": "shop-sdk", "service.instance.id": str(uuid.uuid4())})

tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
meters = MeterProvider(
    resource=resource,
    metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter(), export_interval_millis=3_600_000)],
    views=[View(instrument_name="weight", aggregation=ExponentialBucketHistogramAggregation())],
)
loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=loggers))

tracer = tracers.get_tracer("shop")
with tracer.start_as_current_span("outer"):
    with tracer.start_as_current_span("inner", kind=trace.SpanKind.CLIENT) as inner:
        inner.set_attribute("sku", "sku-7")
        inner.set_attribute("tags", ["a", "b"])
        inner.record_exception(ValueError("odd"))
        logger.info("packed", extra={"boxes": 3})
meter = meters.get_meter("shop")
meter.create_counter("boxes", unit="{box}").add(3, {"size": "small"})
meter.create_up_down_counter("stored").add(5)
packing, weight = meter.create_histogram("packing", unit="ms"), meter.create_histogram("weight", unit="1")
for _ in range(10):
    packing.record(20.0)
    weight.record(2.0)

for provider in (tracers, meters, loggers):
    provider.shutdown()
