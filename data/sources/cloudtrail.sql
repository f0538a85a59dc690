-- Records of AWS CloudTrail, as trails deliver them to S3, as EventBridge passes them on (`detail`), as
-- LookupEvents gives them (`CloudTrailEvent`, a text), as CloudWatch Logs subscriptions do (`message`, a
-- text), as CloudTrail Lake exports them (`eventData`), or wrapped one by one (`event`). How they get here: docs/sources/cloudtrail.md.
--
--: source cloudtrail
--: about AWS CloudTrail: management and data events
--: unwrap Records[]
--: unwrap event
--: unwrap detail
--: unwrap eventData
--: unwrap Events[]
--: unwrap CloudTrailEvent
--: unwrap logEvents[]
--: unwrap message
--
--: default sourceIdentifier 'AWS CloudTrail'
--: default objectType 'ACTIVITY'
--
--: text eventID, eventTime, @timestamp, eventName, eventSource, sourceIPAddress, userAgent, recipientAccountId
--: text userIdentity.userName, userIdentity.arn, userIdentity.accountId, userIdentity.invokedBy
--: text userIdentity.sessionContext.sessionIssuer.userName
--: text requestParameters.bucketName, requestParameters.key
--: text requestParameters.instancesSet.items[].instanceId, requestParameters.delete.objects[].key
--: text resources[].ARN, resources[].type, resources[].accountId
--: int additionalEventData.bytesTransferredIn, additionalEventData.bytesTransferredOut
--: text tlsDetails.clientProvidedHostHeader

SELECT
    coalesce(epoch_ms(eventTime), epoch_ms("@timestamp")) AS timeStamp,
    eventID AS activityId,

    eventName AS actionName,
    eventName AS operation,
    split_part(eventSource, '.', 1) AS serviceName,
    coalesce(userIdentity.accountId, recipientAccountId) AS accountId,

    -- Roots and sessions have no user name; services that act for a user have neither name nor arn.
    coalesce(userIdentity.userName, last_segment(userIdentity.arn, '/:'), userIdentity.invokedBy) AS "user",
    -- The role behind a session.
    userIdentity.sessionContext.sessionIssuer.userName AS profile,

    -- Calls by AWS itself name a service here; that is no address.
    ip_address(sourceIPAddress) AS sourceIP,
    user_agent_name(userAgent) AS clientName,
    user_agent_os(userAgent) AS clientOS,
    user_agent_category(userAgent) AS clientCategory,
    tlsDetails.clientProvidedHostHeader AS url,

    resources[1].ARN AS targetId,
    resources[1].type AS targetType,
    CAST(coalesce(array_length(requestParameters.instancesSet.items),
                  array_length(requestParameters.delete.objects)) AS DOUBLE) AS noOfObjects,

    requestParameters.bucketName AS fileFolderPath,
    requestParameters.key AS fileName,
    file_extension(requestParameters.key) AS fileType,
    CASE WHEN resources[1].type = 'AWS::S3::Bucket' THEN resources[1].accountId
         WHEN resources[2].type = 'AWS::S3::Bucket' THEN resources[2].accountId END AS fileOwner,
    CASE WHEN eventName IN ('DeleteBucketPolicy', 'PutBucketPublicAccessBlock', 'PutPublicAccessBlock') THEN false
         WHEN eventName IN ('PutBucketAcl', 'PutObjectAcl', 'PutBucketPolicy', 'DeleteBucketPublicAccessBlock',
                            'DeletePublicAccessBlock', 'ModifySnapshotAttribute', 'ModifyImageAttribute',
                            'ModifyDBSnapshotAttribute') THEN true END AS fileSharingEnabled,
    additionalEventData.bytesTransferredOut AS downloadBytes,
    additionalEventData.bytesTransferredIn AS uploadBytes
FROM record
