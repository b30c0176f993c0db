"""AWS Lambda: which objects does it load, and how does it tell what failed?"""

from typing import TYPE_CHECKING, Any

try:
    from aws_lambda_powertools.utilities.batch import (
        BatchProcessor,
        EventType,
        process_partial_response,
    )
except ImportError:
    raise ImportError(
        "aws_lambda needs the extra lambda: pip install 'target-mixpanel[lambda]'"
    ) from None

from target_mixpanel.platforms.call import Call, in_one_line, logged
from target_mixpanel.platforms.call_settings import function_settings
from target_mixpanel.platforms.s3_events import is_from_queue, objects_in, objects_named

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: Any, context: "LambdaContext") -> Any:
    """
    Load the objects that *event* says were created.

    Args:
        event: An S3 notification or EventBridge's Object Created: as it is, through SNS, or as
            messages of an SQS queue.
        context: Knows how long the call may take.

    Returns:
        Of a queue, which messages failed; for an event source with ReportBatchItemFailures.

    Raises:
        TargetMixpanelError: An object is not loaded, or not to its end: let Lambda try again.
    """
    try:
        with logged():
            call = Call(function_settings(), lambda: context.get_remaining_time_in_millis() / 1_000)
        with call.logs():
            if is_from_queue(event):
                return _load_messages(call, event)
            with logged():
                named = objects_named(event)
            return call.load_all(named)
    except Exception as error:  # noqa: BLE001 (the top: a traceback could show a record)
        raise in_one_line(error) from None


def _load_messages(call: Call, event: Any) -> Any:
    def load(record: "SQSRecord") -> None:  # handed over under this name
        with logged():
            named = objects_in(record.body)
        call.load_all(named)

    # Where all failed they are told one by one, too: raised, it would be their tracebacks.
    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, load, processor)
