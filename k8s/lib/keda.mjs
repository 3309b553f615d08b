// Validates KEDA's and the Prometheus operator's objects (JSON on standard input) by the types that their authors' Go code
// says, as @kubernetes-models has them. It does not know unknown fields: schemas.yaml does. One line for each mistake.
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { text } from "node:stream/consumers";

const models = { ScaledObject, PodMonitor, PrometheusRule };
for (const object of JSON.parse(await text(process.stdin))) {
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata?.name}: ${error.message}`);
  }
}
